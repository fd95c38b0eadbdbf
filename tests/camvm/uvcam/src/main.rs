//! An emulated USB webcam (UVC 1.0, bulk transfers, MJPEG and YUYV), plugged into this machine's virtual USB host
//! controller over a socket pair. The kernel's own uvcvideo drives it; ending the program pulls the plug.

mod descriptors;
mod device;
mod picture;
mod usbip;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{process, thread};

use anyhow::Result;
use clap::Parser;

use device::{Behaviour, Device};
use picture::Pictures;

/// Plugs an emulated USB webcam into this machine, for as long as the program runs.
///
/// It has MJPEG and YUYV, 640x480 and 320x240, at 30, 15 and 5 frames a second.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// What the camera sees (JPEG or PNG), scaled to cover the frame; moving colour bars without it
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,

    /// Send no more frames a second than this, whatever was negotiated
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    fps: Option<u32>,

    /// Let the host wait so long for the first frame of every stream
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    delay: u64,

    /// Send no frame after this many
    #[arg(long, value_name = "N")]
    stall_after: Option<u64>,

    /// Leave the Huffman tables out of MJPEG frames, as cheap webcams do
    #[arg(long)]
    strip_huffman: bool,

    /// Cut every Nth frame in half
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    truncate_every: Option<u64>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let pictures = Pictures::new(arguments.picture.as_deref(), arguments.strip_huffman)?;
    let behaviour = Behaviour {
        frames_per_second: arguments.fps,
        delay: Duration::from_secs(arguments.delay),
        stall_after: arguments.stall_after,
        truncate_every: arguments.truncate_every,
    };

    let line = usbip::plug_in()?;
    eprintln!("uvcam: plugged in");
    let device = Arc::new(Device::new(line.try_clone()?));
    let camera = Arc::clone(&device);
    thread::spawn(move || {
        if let Err(error) = camera.stream(pictures, behaviour) {
            // A camera that can make no pictures is better gone than silent.
            eprintln!("uvcam: {error:#}");
            process::exit(1);
        }
    });
    device.serve(line)?;
    eprintln!("uvcam: unplugged");
    Ok(())
}
