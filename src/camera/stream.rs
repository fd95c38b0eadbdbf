//! A camera that streams: set to a format, started, read frame by frame.

use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc::POLLIN;
use v4l::buffer::{Flags, Metadata, Type};
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

use super::capture::{CameraOptions, Numbered, POLL, Progress};
use super::colorimetry::Colorimetry;
use super::device::{self, Opened};
use super::frame::RawFrame;
use super::negotiate::choose;
use super::node::{Refusal, refusal};
use super::slot::LatestSlot;
use super::{CameraError, FrameFormat, PixelFormat, mjpeg};

/// One is in our hands, and some drivers do not start with fewer than four in theirs.
const BUFFERS: u32 = 5;

/// More than any driver gives.
const MANY_BUFFERS: usize = 64;

/// A device set to a format and started.
pub(super) struct Streaming {
    device: String,
    stream: Stream<'static>,
    format: FrameFormat,
    patience: Duration,
}

/// How long a camera may be without a usable frame: many frames' time, for in the dark it is
/// slower than it says; and enough to wake a sensor up for the first.
fn patience(fps: f64) -> Duration {
    Duration::from_secs_f64((10.0 / fps).clamp(10.0, 60.0))
}

/// A time without usable frames.
struct Drought {
    since: Instant,
    damaged: u64,
}

impl Drought {
    fn begin() -> Self {
        Drought {
            since: Instant::now(),
            damaged: 0,
        }
    }

    /// The fault that it has become, if it has lasted too long.
    fn check(&self, device: &str, lasted: Duration, patience: Duration) -> Result<(), CameraError> {
        if lasted < patience {
            return Ok(());
        }
        let device = device.to_owned();
        let seconds = lasted.as_secs_f64();
        Err(match self.damaged {
            0 => CameraError::Stalled { device, seconds },
            frames => CameraError::Damaged {
                device,
                frames,
                seconds,
            },
        })
    }
}

impl Streaming {
    pub fn open(options: &CameraOptions) -> Result<Self, CameraError> {
        let opened = device::open(&options.device, &options.wish())?;
        let format = set_format(options, &opened)?;
        let fps = set_rate(&opened.device, options.wish().fps);
        let mut stream = Stream::with_buffers(&opened.device, Type::VideoCapture, BUFFERS)
            .map_err(|e| CameraError::from_io(&options.device, "map buffers", e))?;
        // `read` asks for a frame only when there is one; this is for drivers that promise falsely.
        stream.set_timeout(POLL);
        let mut streaming = Streaming {
            device: options.device.clone(),
            stream,
            format,
            patience: patience(fps.unwrap_or(options.wish().fps)),
        };
        if let Err(error) = streaming.start(&opened) {
            streaming.close();
            return Err(error);
        }
        let rate = fps.map_or_else(String::new, |fps| format!(" at {fps:.1} frames/s"));
        log::info!(
            "{} ({}): {format}{rate}, {:?} {:?} range",
            options.device,
            opened.card,
            format.colorimetry.matrix,
            format.colorimetry.range
        );
        Ok(streaming)
    }

    /// Queues the buffers and starts the device. The crate's `next` would do both, but then it
    /// waits, and loses its place if it waits in vain. Once started, it takes the first buffer for
    /// one that it has handed out and queues it itself.
    fn start(&mut self, opened: &Opened) -> Result<(), CameraError> {
        for index in 1..MANY_BUFFERS {
            match CaptureStream::queue(&mut self.stream, index) {
                Ok(()) => {}
                // The crate does not tell how many buffers there are.
                Err(error) if index > 1 && error.kind() == io::ErrorKind::InvalidInput => break,
                Err(error) => {
                    return Err(CameraError::from_io(&self.device, "queue buffers", error));
                }
            }
        }
        self.stream
            .start()
            .map_err(|error| refused(&self.device, opened, error))
    }

    /// Reads frames into the slot until it is closed or the device fails.
    pub fn read(
        &mut self,
        slot: &LatestSlot<Numbered>,
        progress: &mut Progress,
    ) -> Result<(), CameraError> {
        let mut drought = Drought::begin();
        while !slot.is_closed() {
            let check = |drought: &Drought| {
                drought.check(&self.device, drought.since.elapsed(), self.patience)
            };
            let failed = |error| CameraError::from_io(&self.device, "read", error);
            if !is_readable(&self.stream).map_err(failed)? {
                check(&drought)?;
                continue;
            }
            let (buffer, metadata) = self.stream.next().map_err(failed)?;
            progress.number += 1;
            let Some(bytes) = usable(buffer, metadata, &self.format) else {
                slot.count_corrupt();
                drought.damaged += 1;
                check(&drought)?;
                continue;
            };
            drought = Drought::begin();
            progress.usable = true;
            if std::mem::take(&mut progress.recovering) {
                log::info!("{}: frames again", self.device);
            }
            slot.put(Numbered {
                number: progress.number - 1,
                frame: RawFrame {
                    format: self.format,
                    bytes: bytes.to_vec(),
                },
            });
        }
        Ok(())
    }

    /// Stops the stream. The crate's own destructor panics, and may panic again while unwinding,
    /// if the driver refuses; leaking the buffers of such a device is the lesser harm.
    pub fn close(mut self) {
        match self.stream.stop() {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {}
            Err(error) => {
                log::warn!("{}: cannot stop the stream: {error}", self.device);
                std::mem::forget(self.stream);
            }
        }
    }
}

/// Waits a little for a frame. An error of the device counts as one, so that reading it tells what
/// is wrong.
fn is_readable(stream: &Stream) -> io::Result<bool> {
    let milliseconds = POLL.as_millis() as i32;
    match stream.handle().poll(POLLIN, milliseconds) {
        Ok(ready) => Ok(ready > 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}

/// The bytes of a frame; `None` if it is flagged as erroneous, empty or truncated.
fn usable<'a>(buffer: &'a [u8], metadata: &Metadata, format: &FrameFormat) -> Option<&'a [u8]> {
    let used = (metadata.bytesused as usize).min(buffer.len());
    let bytes = &buffer[..used];
    (!metadata.flags.contains(Flags::ERROR) && is_whole(bytes, format)).then_some(bytes)
}

fn is_whole(bytes: &[u8], format: &FrameFormat) -> bool {
    match format.pixel {
        PixelFormat::Mjpeg => mjpeg::is_whole(bytes),
        _ => !bytes.is_empty() && bytes.len() >= format.frame_bytes(),
    }
}

/// Words a device's refusal to start.
fn refused(device: &str, opened: &Opened, error: io::Error) -> CameraError {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    let device = device.to_owned();
    let card = opened.card.clone();
    match refusal(&opened.driver, errno, &opened.formats) {
        Refusal::RawSensor => CameraError::RawSensor {
            device,
            card,
            driver: opened.driver.clone(),
        },
        Refusal::Bandwidth => CameraError::Bandwidth { device },
        Refusal::Unfed => CameraError::Unfed { device, card },
        Refusal::Other => CameraError::from_io(&device, "start the stream", error),
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
        colorimetry: Colorimetry::of(pixel, got.colorspace, got.quantization),
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
    fn patience_outlasts_many_frames() {
        for fps in [0.2, 1.0, 2.0, 5.0, 15.0, 30.0, 120.0] {
            let frames = patience(fps).as_secs_f64() * fps;
            assert!(frames >= 9.9, "{fps}: {frames} frames");
            // Long enough for the first frame, and for one of a camera far slower than it says.
            assert!(patience(fps) >= Duration::from_secs(10), "{fps}");
        }
        assert_eq!(patience(1e-9), Duration::from_secs(60));
    }

    #[test]
    fn a_drought_tells_silence_from_damage() {
        let limit = Duration::from_secs(10);
        let check = |damaged, seconds| {
            let drought = Drought {
                since: Instant::now(),
                damaged,
            };
            drought.check("cam", Duration::from_secs(seconds), limit)
        };
        assert!(check(0, 9).is_ok() && check(1000, 9).is_ok());
        assert!(matches!(check(0, 10), Err(CameraError::Stalled { .. })));
        let damaged = check(7, 10).unwrap_err();
        assert!(damaged.to_string().contains("7 in 10.0 s"), "{damaged}");
    }

    #[test]
    fn only_whole_frames_without_an_error_flag_are_usable() {
        let format = FrameFormat {
            pixel: PixelFormat::Yuyv,
            width: 4,
            height: 2,
            stride: 12,
            colorimetry: Colorimetry::FULL_601,
        };
        let usable = |bytesused, flags| {
            let metadata = Metadata {
                bytesused,
                flags,
                ..Metadata::default()
            };
            usable(&[1; 30], &metadata, &format).map(<[u8]>::len)
        };
        // The padding of the last line may be missing, nothing else.
        for (used, expected) in [
            (0, None),
            (19, None),
            (20, Some(20)),
            (24, Some(24)),
            (99, Some(30)),
        ] {
            assert_eq!(usable(used, Flags::DONE), expected, "{used}");
            assert_eq!(usable(used, Flags::DONE | Flags::ERROR), None, "{used}");
        }
    }
}
