//! The USB/IP protocol, as the kernel's virtual host controller (vhci-hcd) speaks it, and plugging in there.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, bail};

const CONTROLLER: &str = "/sys/devices/platform/vhci_hcd.0";
const HEADER: usize = 48;
const EPIPE: i32 = 32;
const ECONNRESET: i32 = 104;

/// What the host controller asks for.
pub enum Command {
    Submit(Submit),
    /// Take back the transfer of the number `victim`.
    Unlink {
        number: u32,
        victim: u32,
    },
}

/// A transfer to carry out.
pub struct Submit {
    pub number: u32,
    pub to_host: bool,
    pub endpoint: u32,
    /// How many bytes the host sent, or has room for.
    pub length: usize,
    pub setup: [u8; 8],
    /// The bytes that the host sent.
    pub data: Vec<u8>,
}

/// Plugs a high-speed device into the first free port; the answer is the device's end of the line. Closing it
/// pulls the plug.
pub fn plug_in() -> Result<UnixStream> {
    let controller = Path::new(CONTROLLER);
    let status = fs::read_to_string(controller.join("status"))
        .context("no virtual USB host controller here: is the module vhci-hcd loaded?")?;
    let Some(port) = free_port(&status) else {
        bail!("the virtual USB host controller has no free port");
    };
    let (device, host) = UnixStream::pair()?;
    // Port, socket, device number, speed (3 is high). The controller takes a reference to the socket, so our
    // own descriptor of that end may close afterwards.
    let request = format!("{port} {} 1 3", host.as_raw_fd());
    fs::write(controller.join("attach"), request)
        .context("cannot plug into the virtual USB host controller")?;
    Ok(device)
}

/// The first high-speed port that is free. Lines look like `hs  0000 004 000 00000000 000000 0-0`: the hub's
/// speed, the port, its state.
fn free_port(status: &str) -> Option<u32> {
    const FREE: &str = "004";
    status.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        match (fields.next()?, fields.next()?, fields.next()?) {
            ("hs", port, FREE) => port.parse().ok(),
            _ => None,
        }
    })
}

/// The next command, or none once the line is closed.
pub fn read_command(line: &mut impl Read) -> io::Result<Option<Command>> {
    const SUBMIT: u32 = 1;
    const UNLINK: u32 = 2;
    let mut header = [0; HEADER];
    match line.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (words, setup) = header.split_at(HEADER - 8);
    let words: Vec<u32> = words
        .chunks_exact(4)
        .map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
        .collect();
    match words[0] {
        SUBMIT => {
            let to_host = words[3] == 1;
            let length = words[6] as usize;
            let mut data = vec![0; if to_host { 0 } else { length }];
            line.read_exact(&mut data)?;
            Ok(Some(Command::Submit(Submit {
                number: words[1],
                to_host,
                endpoint: words[4],
                length,
                setup: setup.try_into().expect("the setup packet has 8 bytes"),
                data,
            })))
        }
        UNLINK => Ok(Some(Command::Unlink {
            number: words[1],
            victim: words[5],
        })),
        other => Err(io::Error::other(format!("unknown USB/IP command {other}"))),
    }
}

/// Answers a transfer to the host with its bytes.
pub fn answer(line: &mut impl Write, number: u32, data: &[u8]) -> io::Result<()> {
    reply(line, 3, number, 0, data.len(), data)
}

/// Answers a transfer from the host: so many bytes were taken.
pub fn accept(line: &mut impl Write, number: u32, length: usize) -> io::Result<()> {
    reply(line, 3, number, 0, length, &[])
}

/// Answers a transfer that the device does not understand.
pub fn stall(line: &mut impl Write, number: u32) -> io::Result<()> {
    reply(line, 3, number, -EPIPE, 0, &[])
}

/// Answers the command to take a transfer back: `done` if it was still there to be taken back.
pub fn unlinked(line: &mut impl Write, number: u32, done: bool) -> io::Result<()> {
    reply(line, 4, number, if done { -ECONNRESET } else { 0 }, 0, &[])
}

fn reply(
    line: &mut impl Write,
    kind: u32,
    number: u32,
    status: i32,
    length: usize,
    data: &[u8],
) -> io::Result<()> {
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(HEADER + data.len());
    for word in [
        kind,
        number,
        0,
        0,
        0,
        status.cast_unsigned(),
        length,
        0,
        0,
        0,
        0,
        0,
    ] {
        message.extend(word.to_be_bytes());
    }
    message.extend_from_slice(data);
    line.write_all(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_high_speed_port_is_taken() {
        let status = "hub port sta spd dev      sockfd local_busid\n\
                      hs  0000 006 003 00000001 000003 1-1\n\
                      hs  0001 004 000 00000000 000000 0-0\n\
                      ss  0008 004 000 00000000 000000 0-0\n";
        assert_eq!(free_port(status), Some(1));
        assert_eq!(free_port("hub port sta spd dev sockfd local_busid\n"), None);
    }

    #[test]
    fn commands_are_read_in_turn_until_the_line_closes() {
        let mut bytes = Vec::new();
        for word in [1u32, 7, 65_537, 0, 0, 0, 2, 0, 0, 0] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend([0x21, 1, 0, 1, 1, 0, 2, 0, 0xaa, 0xbb]);
        for word in [2u32, 8, 65_537, 0, 0, 7, 0, 0, 0, 0, 0, 0] {
            bytes.extend(word.to_be_bytes());
        }
        let mut line = bytes.as_slice();
        let Some(Command::Submit(submit)) = read_command(&mut line).unwrap() else {
            panic!("not a transfer");
        };
        assert_eq!(
            (
                submit.number,
                submit.to_host,
                submit.endpoint,
                submit.length
            ),
            (7, false, 0, 2)
        );
        assert_eq!(
            (submit.setup[0], submit.data.as_slice()),
            (0x21, [0xaa, 0xbb].as_slice())
        );
        let Some(Command::Unlink { number, victim }) = read_command(&mut line).unwrap() else {
            panic!("not an unlink");
        };
        assert_eq!((number, victim), (8, 7));
        assert!(read_command(&mut line).unwrap().is_none());
    }
}
