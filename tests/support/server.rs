//! An HTTP server on the loopback interface that answers as a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// First byte of the range asked for.
    pub fn range_start(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }
}

#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Close the connection after this much of the body.
    pub cut: Option<usize>,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Response {
            status,
            headers: Vec::new(),
            body: body.into(),
            cut: None,
        }
    }

    /// All of `bytes`, or what of it the request asks for.
    pub fn file(request: &Request, bytes: &[u8]) -> Self {
        match request.range_start() {
            Some(start) if start < bytes.len() => {
                let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
                let mut response = Response::new(206, &bytes[start..]);
                response.headers.push(("Content-Range", range));
                response
            }
            Some(_) => Response::new(416, ""),
            None => Response::new(200, bytes),
        }
    }
}

pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves until the test ends.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                if let Some(request) = read(&stream) {
                    log.lock().unwrap().push(request.clone());
                    // Whoever asked may be gone, as some tests want it.
                    let _ = write(&mut stream, &answer(&request));
                }
            }
        });
        Server { address, requests }
    }

    /// What has been asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let headers = lines.take_while(|line| !line.is_empty());
    Some(Request {
        method,
        target,
        headers: headers
            .filter_map(|line| {
                let (key, value) = line.split_once(':')?;
                Some((key.to_owned(), value.trim().to_owned()))
            })
            .collect(),
    })
}

fn write(stream: &mut TcpStream, response: &Response) -> std::io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {} Status\r\nConnection: close\r\n",
        response.status
    );
    for (key, value) in &response.headers {
        head += &format!("{key}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", response.body.len());
    stream.write_all(head.as_bytes())?;
    let sent = response.cut.unwrap_or(response.body.len());
    stream.write_all(&response.body[..sent])?;
    stream.flush()
}
