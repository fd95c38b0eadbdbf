//! The camera as a USB device: it answers control requests, and fills the host's bulk transfers with frames.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::descriptors::{self, FORMATS, INTERVALS, MAX_PAYLOAD, SIZES, STREAMING_INTERFACE};
use crate::picture::{Format, Pictures, Size};
use crate::usbip::{self, Command, Submit};

/// How the camera is to misbehave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour {
    /// No more frames a second than this, though the host asked for them.
    pub frames_per_second: Option<u32>,
    /// Before the first frame of every stream.
    pub delay: Duration,
    pub stall_after: Option<u64>,
    pub truncate_every: Option<u64>,
}

/// What host and camera agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Negotiated {
    format: u8,
    frame: u8,
    interval: u32,
}

impl Negotiated {
    fn format(self) -> Format {
        FORMATS[usize::from(self.format) - 1]
    }

    fn size(self) -> Size {
        SIZES[usize::from(self.frame) - 1]
    }

    /// From a probe control's first eight bytes, whatever the host wishes bent to what there is.
    fn from_probe(control: &[u8]) -> Option<Self> {
        let &[_, _, format, frame, a, b, c, d, ..] = control else {
            return None;
        };
        let wish = u32::from_le_bytes([a, b, c, d]);
        let within = |number: u8, count| number.clamp(1, u8::try_from(count).unwrap_or(u8::MAX));
        Some(Self {
            format: within(format, FORMATS.len()),
            frame: within(frame, SIZES.len()),
            interval: INTERVALS
                .into_iter()
                .find(|interval| *interval >= wish)
                .unwrap_or(INTERVALS[2]),
        })
    }

    /// The probe and commit control of UVC 1.0 (table 4-47).
    fn to_probe(self) -> Vec<u8> {
        let mut control = vec![1, 0, self.format, self.frame];
        control.extend(self.interval.to_le_bytes());
        control.extend([0; 10]);
        control.extend(self.size().yuyv_bytes().to_le_bytes());
        control.extend(MAX_PAYLOAD.to_le_bytes());
        control
    }
}

struct State {
    line: UnixStream,
    probed: Negotiated,
    committed: Negotiated,
    /// Grows with every commit: a frame begun before it belongs to a stream that is over.
    stream: u64,
    /// The bulk transfers that wait for data, the oldest first.
    waiting: VecDeque<u32>,
    /// The number of the last transfer that came.
    newest: u32,
    /// Commands to take back transfers that have not come yet, as (number, victim): the kernel sends all the
    /// transfers that it has, then all such commands, and new ones of both may arise in between.
    early: Vec<(u32, u32)>,
    unplugged: bool,
}

impl State {
    /// Whether a transfer that just came is not to be carried out; answers the command that said so. An earlier
    /// answer would make the kernel forget the transfer, and unplug a camera that then carries it out.
    fn taken_back(&mut self, transfer: u32) -> io::Result<bool> {
        self.newest = transfer;
        let Some(place) = self.early.iter().position(|early| early.1 == transfer) else {
            return Ok(false);
        };
        let (number, _) = self.early.remove(place);
        usbip::unlinked(&mut self.line, number, true)?;
        Ok(true)
    }

    fn take_back(&mut self, number: u32, victim: u32) -> io::Result<()> {
        if victim > self.newest {
            self.early.push((number, victim));
            return Ok(());
        }
        let place = self.waiting.iter().position(|waiting| *waiting == victim);
        let done = place.and_then(|place| self.waiting.remove(place)).is_some();
        usbip::unlinked(&mut self.line, number, done)
    }
}

pub struct Device {
    // One lock for the transfers and the line on which they are answered: a transfer that is taken back can
    // then not be answered at the same time.
    state: Mutex<State>,
    changed: Condvar,
}

impl Device {
    pub fn new(line: UnixStream) -> Self {
        let start = Negotiated {
            format: 1,
            frame: 1,
            interval: INTERVALS[0],
        };
        let state = State {
            line,
            probed: start,
            committed: start,
            stream: 0,
            waiting: VecDeque::new(),
            newest: 0,
            early: Vec::new(),
            unplugged: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out the host's commands until the line closes.
    pub fn serve(&self, mut commands: UnixStream) -> Result<()> {
        let outcome = self.serve_until_unplugged(&mut commands);
        self.lock().unplugged = true;
        self.changed.notify_all();
        Ok(outcome?)
    }

    fn serve_until_unplugged(&self, commands: &mut UnixStream) -> io::Result<()> {
        while let Some(command) = usbip::read_command(commands)? {
            let mut state = self.lock();
            match command {
                Command::Submit(submit) if state.taken_back(submit.number)? => {}
                Command::Submit(submit) if submit.endpoint == 0 => control(&mut state, &submit)?,
                Command::Submit(submit) => state.waiting.push_back(submit.number),
                Command::Unlink { number, victim } => state.take_back(number, victim)?,
            }
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Sends frames whenever the host waits for data, until it pulls the plug or the camera stalls.
    pub fn stream(&self, mut pictures: Pictures, behaviour: Behaviour) -> Result<()> {
        let mut due = Instant::now();
        let mut last_stream = None;
        for number in 0.. {
            if behaviour.stall_after == Some(number) {
                eprintln!("uvcam: stalling after {number} frames");
                return Ok(());
            }
            let Some((negotiated, stream)) = self.wait_for_host() else {
                return Ok(());
            };
            if last_stream.replace(stream) != Some(stream) {
                thread::sleep(behaviour.delay);
                due = Instant::now();
            }
            let frame = pictures.frame(negotiated.format(), negotiated.size(), number)?;
            let cut = behaviour
                .truncate_every
                .is_some_and(|every| (number + 1).is_multiple_of(every));
            let length = if cut { frame.len() / 2 } else { frame.len() };
            self.send_frame(&frame[..length], number, stream)?;

            let slowest = behaviour
                .frames_per_second
                .map(|rate| Duration::from_secs(1) / rate);
            let asked = Duration::from_nanos(u64::from(negotiated.interval) * 100);
            due += slowest.map_or(asked, |slowest| slowest.max(asked));
            let now = Instant::now();
            thread::sleep(due.saturating_duration_since(now));
            // Frames that could not be sent in time are not made up for.
            due = due.max(now);
        }
        Ok(())
    }

    /// Waits until the host wants data: the negotiated stream and its number, or none once unplugged.
    fn wait_for_host(&self) -> Option<(Negotiated, u64)> {
        let state = self
            .changed
            .wait_while(self.lock(), |state| {
                state.waiting.is_empty() && !state.unplugged
            })
            .unwrap_or_else(PoisonError::into_inner);
        (!state.unplugged).then_some((state.committed, state.stream))
    }

    /// Sends a frame in as many payloads as it takes, unless its stream ends meanwhile.
    fn send_frame(&self, frame: &[u8], number: u64, stream: u64) -> io::Result<()> {
        const HEADER: usize = 2;
        const END_OF_HEADER: u8 = 0x80;
        const END_OF_FRAME: u8 = 0x02;
        // The bit by which the host tells a frame from the next.
        let frame_id = u8::from(!number.is_multiple_of(2));
        let mut chunks = frame.chunks(MAX_PAYLOAD as usize - HEADER).peekable();
        while let Some(chunk) = chunks.next() {
            let end = if chunks.peek().is_none() {
                END_OF_FRAME
            } else {
                0
            };
            let payload = [&[2, END_OF_HEADER | end | frame_id], chunk].concat();
            let mut state = self
                .changed
                .wait_while(self.lock(), |state| {
                    state.waiting.is_empty() && !state.unplugged && state.stream == stream
                })
                .unwrap_or_else(PoisonError::into_inner);
            if state.unplugged || state.stream != stream {
                return Ok(());
            }
            if let Some(transfer) = state.waiting.pop_front() {
                usbip::answer(&mut state.line, transfer, &payload)?;
            }
        }
        Ok(())
    }
}

/// Answers a request on the control endpoint.
fn control(state: &mut State, submit: &Submit) -> io::Result<()> {
    match response(state, submit) {
        Some(mut data) if submit.to_host => {
            data.truncate(submit.length);
            usbip::answer(&mut state.line, submit.number, &data)
        }
        Some(_) => usbip::accept(&mut state.line, submit.number, submit.length),
        None => usbip::stall(&mut state.line, submit.number),
    }
}

/// The data that a control request asks for, empty if it sets something; none if there is no such thing.
fn response(state: &mut State, submit: &Submit) -> Option<Vec<u8>> {
    const KIND: u8 = 0x60;
    const STANDARD: u8 = 0x00;
    const CLASS: u8 = 0x20;
    let [kind, request, value_low, value_high, index_low, ..] = submit.setup;
    match kind & KIND {
        STANDARD => standard(request, value_high, value_low),
        CLASS if u16::from(index_low) == STREAMING_INTERFACE => {
            stream_control(state, request, value_high, &submit.data)
        }
        _ => None,
    }
}

/// The requests of the USB specification's chapter 9.
fn standard(request: u8, kind: u8, number: u8) -> Option<Vec<u8>> {
    match (request, kind) {
        (0, _) => Some(vec![0, 0]),                  // GET_STATUS
        (1 | 3 | 5 | 9 | 11, _) => Some(Vec::new()), // CLEAR_FEATURE and other SET requests
        (6, 1) => Some(descriptors::device()),       // GET_DESCRIPTOR
        (6, 2) => Some(descriptors::configuration()),
        (6, 3) => descriptors::string(number),
        (8, _) => Some(vec![1]),  // GET_CONFIGURATION
        (10, _) => Some(vec![0]), // GET_INTERFACE
        _ => None,
    }
}

/// Probing and committing a stream (UVC 1.0, section 4.3.1.1).
fn stream_control(state: &mut State, request: u8, selector: u8, data: &[u8]) -> Option<Vec<u8>> {
    const PROBE: u8 = 1;
    const COMMIT: u8 = 2;
    match (request, selector) {
        (0x01, PROBE) => {
            state.probed = Negotiated::from_probe(data)?;
            Some(Vec::new())
        }
        (0x01, COMMIT) => {
            state.committed = Negotiated::from_probe(data)?;
            state.stream += 1;
            let Negotiated { interval, .. } = state.committed;
            eprintln!(
                "uvcam: {:?} {:?}, a frame every {} ms",
                state.committed.format(),
                state.committed.size(),
                interval / 10_000
            );
            Some(Vec::new())
        }
        (0x85, PROBE | COMMIT) => Some(vec![26, 0]), // GET_LEN
        (0x86, PROBE | COMMIT) => Some(vec![3]),     // GET_INFO: may be read and set
        (0x81..=0x84 | 0x87, PROBE) => Some(state.probed.to_probe()),
        (0x81..=0x84 | 0x87, COMMIT) => Some(state.committed.to_probe()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn wishes_are_bent_to_what_there_is() {
        let probe = |format, frame, interval: u32| {
            let mut control = vec![1, 0, format, frame];
            control.extend(interval.to_le_bytes());
            Negotiated::from_probe(&control)
        };
        let of = |format, frame, interval| {
            Some(Negotiated {
                format,
                frame,
                interval,
            })
        };
        assert_eq!(probe(2, 2, 2_000_000), of(2, 2, 2_000_000));
        assert_eq!(probe(0, 9, 0), of(1, 2, 333_333));
        assert_eq!(probe(1, 1, 500_000), of(1, 1, 666_666));
        assert_eq!(probe(1, 1, 9_000_000), of(1, 1, 2_000_000));
        assert_eq!(Negotiated::from_probe(&[1, 0, 1]), None);
    }

    #[test]
    fn a_transfer_is_taken_back_whether_it_came_before_or_after_the_command() {
        let (line, mut host) = UnixStream::pair().unwrap();
        let device = Device::new(line);
        let mut state = device.lock();
        assert!(!state.taken_back(7).unwrap());
        state.waiting.push_back(7);
        state.take_back(8, 7).unwrap();
        state.take_back(9, 7).unwrap();
        state.take_back(11, 10).unwrap();
        assert!(state.taken_back(10).unwrap());
        drop(state);
        drop(device);
        let mut answers = Vec::new();
        host.read_to_end(&mut answers).unwrap();
        // Number and status of each: taken back, too late, taken back.
        let answers: Vec<_> = answers
            .chunks(48)
            .map(|answer| (answer[7], answer[20..24] != [0; 4]))
            .collect();
        assert_eq!(answers, [(8, true), (9, false), (11, true)]);
    }

    #[test]
    fn a_probe_control_survives_the_round_trip() {
        let negotiated = Negotiated {
            format: 2,
            frame: 1,
            interval: INTERVALS[1],
        };
        assert_eq!(negotiated.to_probe().len(), 26);
        assert_eq!(
            Negotiated::from_probe(&negotiated.to_probe()),
            Some(negotiated)
        );
    }
}
