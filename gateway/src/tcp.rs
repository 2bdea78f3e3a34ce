//! A TCP stream that one task reads and writes, and that others may look at meanwhile.

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::RecvFlags;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// The stream of the task that reads and writes it, closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Socket(Arc<TcpStream>);

/// The same stream for whoever wants to know how it is.
#[derive(Clone, Debug)]
pub(crate) struct Look(Weak<TcpStream>);

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    pub(crate) fn look(&self) -> Look {
        Look(Arc::downgrade(&self.0))
    }

    /// The stream itself, for what is done before anything else reads it.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.0
    }

    fn poll_try(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl Look {
    /// Whether the peer has sent its FIN or a reset (RFC 9293), or the stream is closed.
    pub(crate) fn is_ended(&self) -> bool {
        self.shows(PollFlags::RDHUP)
    }

    /// Whether there is nothing to be read, no end either.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.shows(PollFlags::IN | PollFlags::RDHUP)
    }

    fn shows(&self, flags: PollFlags) -> bool {
        let Some(stream) = self.0.upgrade() else {
            return true;
        };
        let mut fds = [PollFd::new(&*stream, flags)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let any = flags | PollFlags::HUP | PollFlags::ERR;
        matches!(rustix::event::poll(&mut fds, Some(&now)), Ok(1..))
            && fds.iter().any(|fd| fd.revents().intersects(any))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let space = buf.initialize_unfilled();
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            let mut read = 0;
            let tried = self.0.try_io(Interest::READABLE, || {
                read = rustix::net::recv(&*self.0, &mut *space, RecvFlags::empty())?.0;
                // What leaves room has emptied the socket: to say so now is to be spared asking again (epoll(7), 9).
                if read > 0 && read < space.len() {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            });
            match tried {
                Err(error) if read == 0 && error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if read == 0 => return Poll::Ready(Err(error)),
                _ => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |socket| socket.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |socket| socket.try_write_vectored(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match rustix::net::shutdown(&*self.0, rustix::net::Shutdown::Write) {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}
