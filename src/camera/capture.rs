//! Live capture: one thread reads the camera and keeps the newest frame.

use std::sync::Arc;
use std::time::Duration;

use super::device::guarded;
use super::frame::{Content, RawFrame};
use super::negotiate::Wish;
use super::slot::LatestSlot;
use super::stream::Streaming;
use super::{CameraError, Dropped, Frame, PixelFormat, Source};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// How often a wait for frames looks whether it should end.
pub(super) const POLL: Duration = Duration::from_millis(100);

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
    pub(super) fn wish(&self) -> Wish {
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

pub(super) struct Numbered {
    pub number: u64,
    pub frame: RawFrame,
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
            .map_err(|error| CameraError::Thread {
                device: camera.device.clone(),
                error,
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

/// What outlives a stream.
#[derive(Default)]
pub(super) struct Progress {
    /// Frames that came, also damaged ones.
    pub number: u64,
    /// Whether this stream has given a usable frame.
    pub usable: bool,
    /// Whether streams failed before this one and the next usable frame is news.
    pub recovering: bool,
}

/// Captures until the slot is closed, reopening the device after every fault.
fn capture(options: &CameraOptions, first: Streaming, slot: &LatestSlot<Numbered>) {
    let mut streaming = Some(first);
    let mut progress = Progress::default();
    let mut retry = FIRST_RETRY;
    let mut last_fault: Option<CameraError> = None;
    loop {
        progress.usable = false;
        progress.recovering = last_fault.is_some();
        let result = guarded(&options.device, || {
            let mut streaming = match streaming.take() {
                Some(streaming) => streaming,
                None => Streaming::open(options)?,
            };
            let result = streaming.read(slot, &mut progress);
            streaming.close();
            result
        });
        let Err(fault) = result else { return };
        if progress.usable {
            retry = FIRST_RETRY;
            last_fault = None;
        }
        if !last_fault.is_some_and(|last| fault.repeats(&last)) {
            log::warn!("{fault}; trying again until it works");
        }
        last_fault = Some(fault);
        if slot.wait_closed(retry) {
            return;
        }
        retry = (retry * 2).min(LAST_RETRY);
    }
}
