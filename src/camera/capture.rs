//! Live capture: one thread reads the camera and keeps the newest frame.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use v4l::buffer::{Flags, Type};
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

use super::colorimetry::Colorimetry;
use super::device::{self, Opened, guarded};
use super::frame::{Content, RawFrame};
use super::negotiate::{Wish, choose};
use super::slot::LatestSlot;
use super::{CameraError, Dropped, Frame, FrameFormat, PixelFormat, Source, mjpeg};

/// Enough that the driver always has one to fill while one is read.
const BUFFERS: u32 = 4;

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// How often a wait for frames looks whether it should end.
const POLL: Duration = Duration::from_millis(100);

/// Which camera, and what is wanted of it.
#[derive(Debug, Clone)]
pub struct CameraOptions {
    pub device: String,
    /// Frame size; by default the smallest that covers the network's input.
    pub size: Option<(u32, u32)>,
    /// Pixel format; by default the cheapest.
    pub format: Option<PixelFormat>,
    /// Frames a second; by default 30, or what the camera has.
    pub fps: Option<f64>,
    /// Side of the network's input in pixels.
    pub cover: u32,
}

impl CameraOptions {
    fn wish(&self) -> Wish {
        Wish {
            size: self.size,
            pixel: self.format,
            cover: self.cover,
            fps: self.fps.unwrap_or(30.0),
        }
    }
}

/// A camera being captured. Once started, faults do not end it: it reopens the device until it
/// works again.
pub struct LiveCamera {
    device: String,
    slot: Arc<LatestSlot<Numbered>>,
}

struct Numbered {
    number: u64,
    frame: RawFrame,
}

impl LiveCamera {
    /// Opens the camera and starts to capture. Fails if it cannot be used as it is now.
    pub fn start(options: CameraOptions) -> Result<Self, CameraError> {
        let streaming = guarded(&options.device, || Streaming::open(&options))?;
        let camera = LiveCamera {
            device: options.device.clone(),
            slot: Arc::new(LatestSlot::new()),
        };
        let slot = Arc::clone(&camera.slot);
        std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || capture(&options, streaming, &slot))
            .map_err(|source| CameraError::Io {
                device: camera.device.clone(),
                action: "start the capture thread",
                source,
            })?;
        Ok(camera)
    }
}

impl Source for LiveCamera {
    fn next(&mut self, stop: &dyn Fn() -> bool) -> Option<Frame> {
        while !stop() {
            if let Some(Numbered { number, frame }) = self.slot.take(POLL) {
                return Some(Frame {
                    source: self.device.clone(),
                    number,
                    content: Content::Raw(frame),
                });
            }
        }
        None
    }

    fn dropped(&self) -> Dropped {
        self.slot.dropped()
    }
}

impl Drop for LiveCamera {
    fn drop(&mut self) {
        // The thread sees it within one poll of the device; nothing needs to wait for that.
        self.slot.close();
    }
}

/// Captures until the slot is closed, reopening the device after every fault.
fn capture(options: &CameraOptions, first: Streaming, slot: &LatestSlot<Numbered>) {
    let mut streaming = Some(first);
    let mut number = 0;
    let mut retry = FIRST_RETRY;
    let mut last_fault = String::new();
    loop {
        let frames_before = number;
        let result = guarded(&options.device, || {
            let mut streaming = match streaming.take() {
                Some(streaming) => streaming,
                None => Streaming::open(options)?,
            };
            let result = streaming.read(slot, &mut number, !last_fault.is_empty());
            streaming.close();
            result
        });
        let Err(fault) = result else { return };
        if number > frames_before {
            retry = FIRST_RETRY;
            last_fault.clear();
        }
        let fault = fault.to_string();
        if fault != last_fault {
            log::warn!("{fault}; trying again until it works");
            last_fault = fault;
        }
        if slot.wait_closed(retry) {
            return;
        }
        retry = (retry * 2).min(LAST_RETRY);
    }
}

/// A device set to a format, with its buffers mapped.
struct Streaming {
    device: String,
    stream: Stream<'static>,
    format: FrameFormat,
    /// Longest wait for one frame, and longest time without any.
    patience: Patience,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Patience {
    poll: Duration,
    stall: Duration,
}

impl Patience {
    fn at(fps: f64) -> Self {
        // A poll shorter than the interval would lose a frame at every time-out.
        let seconds = |s: f64, low: f64, high: f64| Duration::from_secs_f64(s.clamp(low, high));
        Patience {
            poll: seconds(3.0 / fps, 0.25, 2.0),
            stall: seconds(10.0 / fps, 2.0, 20.0),
        }
    }
}

impl Streaming {
    fn open(options: &CameraOptions) -> Result<Self, CameraError> {
        let opened = device::open(&options.device, &options.wish())?;
        let format = set_format(options, &opened)?;
        let fps = set_rate(&opened.device, options.wish().fps);
        let mut stream = Stream::with_buffers(&opened.device, Type::VideoCapture, BUFFERS)
            .map_err(|e| CameraError::from_io(&options.device, "map buffers", e))?;
        let patience = Patience::at(fps.unwrap_or(options.wish().fps));
        stream.set_timeout(patience.poll);
        let rate = fps.map_or_else(String::new, |fps| format!(" at {fps:.1} frames/s"));
        log::info!(
            "{} ({}): {format}{rate}, {:?} {:?} range",
            options.device,
            opened.card,
            format.colorimetry.matrix,
            format.colorimetry.range
        );
        Ok(Streaming {
            device: options.device.clone(),
            stream,
            format,
            patience,
        })
    }

    /// Reads frames into the slot until it is closed or the device fails.
    fn read(
        &mut self,
        slot: &LatestSlot<Numbered>,
        number: &mut u64,
        mut recovering: bool,
    ) -> Result<(), CameraError> {
        let mut last_frame = Instant::now();
        // After a time-out the crate has every buffer queued, and its `next` would queue one a
        // second time; `dequeue` gets the stream going again at the price of one frame.
        let mut timed_out = false;
        while !slot.is_closed() {
            let result = if timed_out {
                CaptureStream::dequeue(&mut self.stream).map(|_| None)
            } else {
                self.stream.next().map(Some)
            };
            match result {
                Ok(frame) => {
                    timed_out = false;
                    last_frame = Instant::now();
                    *number += 1;
                    let Some((buffer, metadata)) = frame else {
                        slot.count_stale();
                        continue;
                    };
                    let used = (metadata.bytesused as usize).min(buffer.len());
                    let bytes = &buffer[..used];
                    if metadata.flags.contains(Flags::ERROR) || !is_whole(bytes, &self.format) {
                        slot.count_corrupt();
                        continue;
                    }
                    if std::mem::take(&mut recovering) {
                        log::info!("{}: frames again", self.device);
                    }
                    slot.put(Numbered {
                        number: *number - 1,
                        frame: RawFrame {
                            format: self.format,
                            bytes: bytes.to_vec(),
                        },
                    });
                }
                Err(error) if is_passing(&error) => {
                    timed_out = true;
                    let silence = last_frame.elapsed();
                    if silence >= self.patience.stall {
                        return Err(CameraError::Stalled {
                            device: self.device.clone(),
                            seconds: silence.as_secs_f64(),
                        });
                    }
                }
                Err(error) => return Err(CameraError::from_io(&self.device, "read", error)),
            }
        }
        Ok(())
    }

    /// Stops the stream. The crate's own destructor panics, and may panic again while unwinding,
    /// if the driver refuses; leaking the buffers of such a device is the lesser harm.
    fn close(mut self) {
        match self.stream.stop() {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ENODEV as i32) => {}
            Err(error) => {
                log::warn!("{}: cannot stop the stream: {error}", self.device);
                std::mem::forget(self.stream);
            }
        }
    }
}

/// Errors after which the same stream can go on.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

fn is_whole(bytes: &[u8], format: &FrameFormat) -> bool {
    match format.pixel {
        PixelFormat::Mjpeg => mjpeg::is_whole(bytes),
        _ => !bytes.is_empty() && bytes.len() >= format.frame_bytes(),
    }
}

/// Negotiates the format. Drivers may answer a request with something else and no error, so what
/// counts is what they say they set.
fn set_format(options: &CameraOptions, opened: &Opened) -> Result<FrameFormat, CameraError> {
    let device = || options.device.clone();
    let Some(mode) = choose(&opened.modes, &options.wish()) else {
        return Err(CameraError::FormatRefused {
            device: device(),
            wanted: options.format.map_or_else(String::new, |f| f.to_string()),
            offered: device::list(&opened.formats),
        });
    };
    let fourcc = opened
        .formats
        .iter()
        .find(|f| PixelFormat::from_fourcc(f.repr) == Some(mode.pixel))
        .copied()
        .unwrap_or_else(|| FourCC::new(&mode.pixel.fourcc()));
    let got = opened
        .device
        .set_format(&Format::new(mode.width, mode.height, fourcc))
        .map_err(|e| CameraError::from_io(&options.device, "set the format", e))?;
    let wanted = format!("{} {}x{}", mode.pixel, mode.width, mode.height);
    let changed = || CameraError::FormatChanged {
        device: device(),
        wanted: wanted.clone(),
        got: format!("{} {}x{}", got.fourcc, got.width, got.height),
    };
    let pixel = PixelFormat::from_fourcc(got.fourcc.repr).ok_or_else(changed)?;
    if options.format.is_some_and(|wanted| wanted != pixel) || got.width == 0 || got.height == 0 {
        return Err(changed());
    }
    if options
        .size
        .is_some_and(|size| size != (got.width, got.height))
    {
        let (width, height) = options.size.unwrap_or_default();
        log::warn!(
            "{}: has no {width}x{height}; using {}x{}",
            options.device,
            got.width,
            got.height
        );
    }
    Ok(FrameFormat {
        pixel,
        width: got.width,
        height: got.height,
        stride: got.stride,
        colorimetry: Colorimetry::from_v4l2(got.colorspace, got.quantization, pixel.is_rgb()),
    })
}

/// Asks for a rate and returns the one set. Many drivers have only one, which is no fault.
fn set_rate(device: &Device, fps: f64) -> Option<f64> {
    const UNITS: u32 = 1000;
    let mut parameters = Parameters::with_fps(1);
    parameters.interval = Fraction::new(UNITS, (fps * f64::from(UNITS)).round().max(1.0) as u32);
    let set = device.set_params(&parameters).or_else(|_| device.params());
    let interval = set.ok()?.interval;
    let known = interval.numerator > 0 && interval.denominator > 0;
    known.then(|| f64::from(interval.denominator) / f64::from(interval.numerator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_outlasts_the_frame_interval() {
        for fps in [0.1, 1.0, 2.0, 5.0, 15.0, 30.0, 120.0] {
            let patience = Patience::at(fps);
            assert!(patience.poll <= Duration::from_secs(2), "{fps}");
            assert!(patience.stall >= Duration::from_secs(2), "{fps}");
            assert!(patience.stall >= patience.poll, "{fps}");
        }
        assert!(Patience::at(2.0).poll > Duration::from_millis(500));
    }
}
