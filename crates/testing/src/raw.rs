//! Raw sockets on both sides of a gateway: upstreams that behave as a test wants, and callers byte for byte.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An upstream whose every connection is served by a function of the test's.
pub struct Upstream {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    /// Calls `serve` on a thread of its own for each connection; it lives as long as the test's process.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (serve, connections) = (Arc::new(serve), Arc::new(AtomicUsize::new(0)));
        let counted = connections.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address, connections }
    }

    /// One that answers the head of each request with what `answer` makes of it.
    pub fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |mut stream| {
            while let Some(head) = read_head(&mut stream) {
                if stream.write_all(answer(&head).as_bytes()).is_err() {
                    return;
                }
            }
        })
    }

    /// How many connections it has seen.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A response with a body.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Routes to `upstream`: `/guarded/*` asks for an API key, everything else is public. `more` comes first.
pub fn routes(upstream: &str, more: &str) -> String {
    format!(
        "{more}\n[[route]]\npath = \"/guarded/*\"\nupstream = \"{upstream}\"\naccept = [\"api-key\"]\n\
         [[route]]\npath = \"/*\"\nupstream = \"{upstream}\"\npublic = true\n"
    )
}

/// A connection on which nothing is waited for longer than anything may take.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads up to the end of a head, and no byte behind it.
pub fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// Reads `length` bytes.
pub fn read_bytes(stream: &mut TcpStream, length: usize) -> Option<String> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).ok()?;
    String::from_utf8(bytes).ok()
}

/// Reads until the peer closes.
pub fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(length @ 1..) => bytes.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the connection stays open behind {:?}", String::from_utf8_lossy(&bytes));
            }
            _ => return String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// Writes `bytes` and reads until the peer closes.
pub fn converse(address: SocketAddr, bytes: &str) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes.as_bytes());
    read_all(&mut stream)
}

/// The resident memory of a process now, in KiB.
pub fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Ends a connection by a reset, as a caller does that reads no more.
pub fn reset(stream: TcpStream) {
    let socket = tokio::net::TcpSocket::from_std_stream(stream);
    socket.set_zero_linger().unwrap();
}

/// The processor time of a process so far, in hundredths of a second.
pub fn processor_time(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = status.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// The sum of the counters whose line begins so.
pub fn counted(admin: SocketAddr, begins: &str) -> u64 {
    let metrics = crate::Request::get("/metrics").send(admin).text();
    let lines = metrics.lines().filter(|line| line.starts_with(begins));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
