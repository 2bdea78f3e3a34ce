use super::*;

/// What a run of the reader saw: (status, body, complete, keep_alive), one entry a response.
type Seen = Vec<(u16, Vec<u8>)>;

/// Feeds `input` cut at every `step` bytes, as a socket might, and returns the responses that completed.
fn read_in_pieces(input: &[u8], step: usize) -> Result<(Seen, Reader), ResponseError> {
    let mut reader = Reader::new();
    let mut seen = Seen::new();
    let mut open: Option<(u16, Vec<u8>)> = None;
    let mut held: Vec<u8> = Vec::new();
    for piece in input.chunks(step) {
        held.extend_from_slice(piece);
        while !held.is_empty() {
            let progress = reader.advance(&held, |event| match event {
                Event::Head { status } => open = Some((status, Vec::new())),
                Event::Body(bytes) => open.as_mut().unwrap().1.extend_from_slice(bytes),
            })?;
            held.drain(..progress.consumed);
            if !progress.complete {
                break;
            }
            seen.extend(open.take());
        }
    }
    if reader.end_of_input()? {
        seen.extend(open.take());
    }
    Ok((seen, reader))
}

/// The same answer however the bytes are cut.
fn read(input: &[u8]) -> Seen {
    let (whole, _) = read_in_pieces(input, input.len()).unwrap();
    for step in 1..input.len() {
        assert_eq!(
            read_in_pieces(input, step).unwrap().0,
            whole,
            "cut at every {step} bytes"
        );
    }
    whole
}

fn error(input: &[u8]) -> ResponseError {
    let whole = read_in_pieces(input, input.len()).unwrap_err();
    assert_eq!(read_in_pieces(input, 1).unwrap_err(), whole);
    whole
}

#[test]
fn a_sized_body_ends_at_its_length() {
    let seen = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello");
    assert_eq!(seen, [(200, b"Hello".to_vec())]);
}

#[test]
fn pipelined_responses_come_one_by_one() {
    let seen = read(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n\
          HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n",
    );
    assert_eq!(seen, [(200, b"ab".to_vec()), (404, vec![]), (200, b"c".to_vec())]);
}

#[test]
fn chunks_are_joined_extensions_ignored_and_trailers_passed_over() {
    let seen = read(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n\
          5;name=\"x\"\r\nHello\r\nb \r\n, wide worl\r\n2\r\nd\n\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
    );
    assert_eq!(seen, [(200, b"Hello, wide world\n".to_vec())]);
}

#[test]
fn informational_heads_are_passed_over() {
    let seen = read(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n\
          HTTP/1.1 201 Created\r\ncontent-length: 1\r\n\r\nx",
    );
    assert_eq!(seen, [(201, b"x".to_vec())]);
}

#[test]
fn no_content_and_not_modified_have_no_body() {
    let seen = read(
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n\
          HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nz",
    );
    assert_eq!(seen, [(204, vec![]), (304, vec![]), (200, b"z".to_vec())]);
}

#[test]
fn without_framing_the_body_ends_with_the_connection() {
    let (seen, reader) = read_in_pieces(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 3).unwrap();
    assert_eq!(seen, [(200, b"until the end".to_vec())]);
    assert!(!reader.keep_alive());
}

#[test]
fn keep_alive_follows_version_and_connection() {
    let keeps = |head: &[u8]| {
        let mut reader = Reader::new();
        assert!(reader.advance(head, |_| ()).unwrap().complete);
        reader.keep_alive()
    };
    assert!(keeps(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    assert!(keeps(
        b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n"
    ));
    assert!(!keeps(
        b"HTTP/1.1 200 OK\r\nConnection: te, Close\r\ncontent-length: 0\r\n\r\n"
    ));
    assert!(!keeps(b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"));
}

#[test]
fn a_connection_that_ends_inside_a_response_is_an_error() {
    for cut in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHell"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nHello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nHello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
    ] {
        assert_eq!(error(cut), ResponseError::Truncated, "{}", String::from_utf8_lossy(cut));
    }
}

#[test]
fn broken_framing_is_named() {
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").into_bytes();
    assert_eq!(
        error(&head("content-length: 5\r\ntransfer-encoding: chunked")),
        ResponseError::BothFramings
    );
    assert_eq!(
        error(&head("content-length: five")),
        ResponseError::ContentLength("five".to_owned())
    );
    assert_eq!(
        error(&head("transfer-encoding: gzip")),
        ResponseError::TransferEncoding("gzip".to_owned())
    );
    for size in ["", "x", "+5", "-1", "11111111111111111"] {
        let mut input = head("transfer-encoding: chunked");
        input.extend_from_slice(format!("{size}\r\nHello\r\n0\r\n\r\n").as_bytes());
        assert_eq!(error(&input), ResponseError::ChunkSize(size.to_owned()));
    }
    let mut input = head("transfer-encoding: chunked");
    input.extend_from_slice(b"5\r\nHelloX\r\n0\r\n\r\n");
    assert_eq!(error(&input), ResponseError::ChunkEnd);
    let mut input = head("transfer-encoding: chunked");
    input.extend_from_slice(&[b'1'; LINE_BYTES]);
    assert_eq!(error(&input), ResponseError::LongLine);
    assert!(matches!(error(b"SSH-2.0-OpenSSH\r\n\r\n"), ResponseError::Head(_)));
}
