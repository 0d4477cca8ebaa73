//! An HTTP server that does as it is told, request by request.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Step {
    /// As a good server does: the whole file, or the part asked for if `If-Range` names this version.
    Serve,
    /// As `Serve`, but after so many bytes of the body the connection is closed.
    BreakOff(usize),
    /// As `Serve`, but after so many bytes of the body nothing follows.
    Stall(usize),
    /// Nothing at all is answered.
    Mute,
    /// The connection is closed at once.
    HangUp,
    /// The whole file, whatever part was asked for, closed after so many bytes.
    IgnoreRange(usize),
    /// The whole file with a `Content-Length` that is so much too long (or too short, if negative).
    WrongLength(i64),
    /// A part that begins elsewhere than asked for.
    WrongPart,
    /// Chunked, closed after so many bytes.
    Chunked(usize),
    /// Neither length nor chunks: the end of the connection is the end of the file.
    NoLength,
    /// A status without a file.
    Status(u16),
    /// A redirect.
    Redirect(String),
    /// Chunks without end.
    Endless,
    /// The whole file, a byte at a time with pauses.
    Trickle,
    /// Header lines without end.
    EndlessHead,
    /// Interim responses without end.
    EndlessInformation,
    /// A redirect whose body has no end.
    EndlessRedirect(String),
    /// A status whose body has no end.
    EndlessStatus(u16),
    /// As `Serve`, with a header that says that the body is compressed.
    Encoded,
    /// From now on there is another file with another tag.
    Replace(Vec<u8>, &'static str),
    /// The same, and this time `If-Range` is not heeded.
    ReplaceUnsaid(Vec<u8>, &'static str),
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
}

/// The server; it runs until the test ends.
pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

struct File {
    content: Vec<u8>,
    tag: Option<&'static str>,
}

impl Server {
    /// Serves `content` by `steps`, of which the last one goes for all later requests too.
    pub fn start(content: &[u8], tag: Option<&'static str>, steps: &[Step]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, steps) = (requests.clone(), steps.to_vec());
        let file = Arc::new(Mutex::new(File { content: content.to_vec(), tag }));
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let step = steps[number.min(steps.len() - 1)].clone();
                let (seen, file) = (seen.clone(), file.clone());
                thread::spawn(move || answer(stream.unwrap(), &step, &file, &seen));
            }
        });
        Self { address, requests }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// What was asked for so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The `Range` headers so far.
    pub fn ranges(&self) -> Vec<Option<String>> {
        self.requests().into_iter().map(|request| request.range).collect()
    }
}

fn answer(mut stream: TcpStream, step: &Step, file: &Mutex<File>, seen: &Mutex<Vec<Request>>) {
    let mut request = read_request(&mut stream);
    seen.lock().unwrap().push(request.clone());
    if let Step::Replace(content, tag) | Step::ReplaceUnsaid(content, tag) = step {
        *file.lock().unwrap() = File { content: content.clone(), tag: Some(tag) };
    }
    if let Step::ReplaceUnsaid(..) = step {
        request.if_range = None;
    }
    let file = file.lock().unwrap();
    // The client may go away at any time.
    let _ = match step {
        Step::HangUp => Ok(()),
        Step::Mute => {
            drop(file);
            wait_for_close(&mut stream)
        }
        Step::Status(code) => write!(stream, "HTTP/1.1 {code} x\r\n{EMPTY}"),
        Step::Redirect(to) => write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\n{EMPTY}"),
        Step::Chunked(sent) => chunked(&mut stream, &file.content, *sent),
        Step::Endless => {
            drop(file);
            write!(stream, "HTTP/1.1 200 OK\r\n{CHUNKED}").and_then(|()| endless(&mut stream))
        }
        Step::EndlessRedirect(to) => {
            drop(file);
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n{CHUNKED}");
            stream.write_all(head.as_bytes()).and_then(|()| endless(&mut stream))
        }
        Step::EndlessStatus(code) => {
            drop(file);
            write!(stream, "HTTP/1.1 {code} x\r\n{CHUNKED}").and_then(|()| endless(&mut stream))
        }
        Step::EndlessHead => {
            drop(file);
            write!(stream, "HTTP/1.1 200 OK\r\n").and_then(|()| repeat(&mut stream, b"X: y\r\n"))
        }
        Step::EndlessInformation => {
            drop(file);
            repeat(&mut stream, b"HTTP/1.1 102 Processing\r\n\r\n")
        }
        Step::Trickle => trickle(&mut stream, &file, &request),
        Step::Encoded => {
            let length = file.content.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n{CLOSE}")
                .and_then(|()| stream.write_all(&file.content))
        }
        Step::NoLength => {
            write!(stream, "HTTP/1.1 200 OK\r\n{CLOSE}").and_then(|()| stream.write_all(&file.content))
        }
        Step::WrongLength(by) => {
            let length = file.content.len() as i64 + by;
            whole(&mut stream, &file, length as usize, file.content.len())
        }
        Step::IgnoreRange(sent) => whole(&mut stream, &file, file.content.len(), *sent),
        Step::WrongPart => part(&mut stream, &file, 1, file.content.len()),
        Step::Serve | Step::Replace(..) | Step::ReplaceUnsaid(..) => {
            serve(&mut stream, &file, &request, usize::MAX)
        }
        Step::BreakOff(sent) => serve(&mut stream, &file, &request, *sent),
        Step::Stall(sent) => {
            let served = serve(&mut stream, &file, &request, *sent);
            drop(file);
            served.and_then(|()| wait_for_close(&mut stream))
        }
    };
}

const CLOSE: &str = "Connection: close\r\n\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
const EMPTY: &str = "Content-Length: 0\r\nConnection: close\r\n\r\n";

fn read_request(stream: &mut TcpStream) -> Request {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        text.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    Request { path, range: header("range"), if_range: header("if-range") }
}

fn wait_for_close(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0]).map(drop)
}

fn serve(stream: &mut TcpStream, file: &File, request: &Request, sent: usize) -> std::io::Result<()> {
    let same = request.if_range.is_none() || request.if_range.as_deref() == file.tag;
    let first = request.range.as_ref().filter(|_| same).map(|range| {
        range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse::<usize>().unwrap()
    });
    match first {
        None => whole(stream, file, file.content.len(), sent),
        Some(first) if first < file.content.len() => part(stream, file, first, sent),
        Some(_) => write!(stream, "HTTP/1.1 416 x\r\n{EMPTY}"),
    }
}

/// The same bytes until the client goes away.
fn repeat(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(bytes)?;
    }
}

fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    repeat(stream, format!("400\r\n{}\r\n", "x".repeat(0x400)).as_bytes())
}

fn trickle(stream: &mut TcpStream, file: &File, request: &Request) -> std::io::Result<()> {
    serve(stream, file, request, 0)?;
    for byte in &file.content {
        stream.write_all(&[*byte])?;
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn tag(file: &File) -> String {
    file.tag.map(|tag| format!("ETag: {tag}\r\n")).unwrap_or_default()
}

fn whole(stream: &mut TcpStream, file: &File, length: usize, sent: usize) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{}{CLOSE}", tag(file))?;
    stream.write_all(&file.content[..sent.min(file.content.len())])
}

fn part(stream: &mut TcpStream, file: &File, first: usize, sent: usize) -> std::io::Result<()> {
    let (size, rest) = (file.content.len(), &file.content[first..]);
    write!(stream, "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n", rest.len())?;
    write!(stream, "Content-Range: bytes {first}-{}/{size}\r\n{}{CLOSE}", size - 1, tag(file))?;
    stream.write_all(&rest[..sent.min(rest.len())])
}

fn chunked(stream: &mut TcpStream, content: &[u8], sent: usize) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{CLOSE}")?;
    let whole = sent >= content.len();
    for chunk in content[..sent.min(content.len())].chunks(1000) {
        write!(stream, "{:x}\r\n", chunk.len())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    if whole { stream.write_all(b"0\r\n\r\n") } else { Ok(()) }
}
