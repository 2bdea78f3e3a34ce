//! A server that guests fetch from, and that treats them badly: what it does is in the path of the request.

use socket2::SockRef;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const BODY_BYTES: usize = 1000;

/// The server; it ends when dropped.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    open: AtomicUsize,
    connections: AtomicUsize,
    /// Those that are open, by their number.
    streams: Mutex<HashMap<usize, TcpStream>>,
}

impl Origin {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let accepting = thread::spawn(move || accept(&listener, &of_thread));
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Connections open now.
    pub(super) fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// Connections there were so far.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// Closes every connection from this side.
    pub(super) fn hang_up(&self) {
        for stream in self.shared.streams.lock().unwrap().values() {
            // Closed by the other side already is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.hang_up();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.is_over.load(Ordering::Acquire) {
            return;
        }
        shared.open.fetch_add(1, Ordering::AcqRel);
        let number = shared.connections.fetch_add(1, Ordering::AcqRel);
        let other = stream.try_clone().expect("a socket can be cloned");
        shared.streams.lock().unwrap().insert(number, other);
        let shared = Arc::clone(shared);
        // Ends with its connection.
        thread::spawn(move || {
            // However it ends, it is closed: that is all there is to say of it.
            let _ = serve(&stream);
            drop(shared.streams.lock().unwrap().remove(&number));
            drop(stream);
            shared.open.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

fn serve(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut held = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = memchr::memmem::find(&held, b"\r\n\r\n") {
                break at + 4;
            }
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes)?;
            if read == 0 {
                return Ok(());
            }
            held.extend_from_slice(&bytes[..read]);
        };
        let head = String::from_utf8_lossy(&held[..end]).into_owned();
        held.drain(..end);
        let path = head.split_whitespace().nth(1).unwrap_or_default();
        let length = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY_BYTES}\r\n\r\n");
        match path {
            "/stall" => return until_closed(stream),
            "/stall-body" => {
                stream.write_all((length + "some of it").as_bytes())?;
                return until_closed(stream);
            }
            "/cut" => return stream.write_all((length + "some of it").as_bytes()),
            "/reset" => return SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            "/trickle" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n")?;
                for _ in 0..20 {
                    // Nobody unparks this thread.
                    thread::park_timeout(Duration::from_millis(20));
                    stream.write_all(b".")?;
                }
            }
            _ => {
                let mut answer = length.into_bytes();
                answer.resize(answer.len() + BODY_BYTES, b'.');
                stream.write_all(&answer)?;
            }
        }
    }
}

fn until_closed(mut stream: &TcpStream) -> io::Result<()> {
    while stream.read(&mut [0; 1024])? > 0 {}
    Ok(())
}
