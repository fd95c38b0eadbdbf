//! Where frames come from: V4L2 cameras, a test picture, picture files.

mod capture;
mod colorimetry;
mod device;
mod error;
mod files;
mod frame;
mod mjpeg;
mod negotiate;
mod node;
mod pixel;
mod slot;
mod stream;
mod test_picture;

pub use capture::{CameraOptions, LiveCamera};
pub use device::{CameraReport, CameraStatus, probe, stable_names};
pub use error::{CSI_WAYS_OUT, CameraError, FrameError};
pub use files::{Files, FilesError, is_hidden, pictures_below};
pub use frame::{Frame, RawFrame};
pub use pixel::{FrameFormat, PixelFormat};
pub use test_picture::TestPicture;

/// Frames in order. Ends by returning `None`.
pub trait Source {
    /// The next frame. Blocks until there is one, the source has ended, or `stop` says so.
    fn next(&mut self, stop: &dyn Fn() -> bool) -> Option<Frame>;

    /// Frames that were captured but never handed out, and why.
    fn dropped(&self) -> Dropped {
        Dropped::default()
    }
}

/// Counts of frames that were captured but not handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Replaced by a newer frame before anything asked for it.
    pub stale: u64,
    /// Flagged as erroneous by the driver, empty, or truncated.
    pub corrupt: u64,
}
