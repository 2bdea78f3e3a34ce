//! `dirs`: reads and writes the directories it was granted, with the ordinary std.
//!
//! - `GET /list?dir=`: the names in it, sorted, one a line
//! - `GET /read?path=`: the file's bytes; `GET /escape?path=` is the same, for a path that leads out
//! - `GET /stat?path=`: `{"kind":…,"bytes":…}`, of what a symbolic link points to
//! - `PUT /write?path=`: the request's body becomes the file; answers the bytes written
//! - `DELETE /remove?path=`: removes the file
//! - `POST /rename?path=&to=`: gives it another name; both are whole paths
//! - `POST /symlink?path=&to=`: makes a symbolic link at `path`, in the first directory, that leads to `to`
//!
//! An error is 404 (not found), 403 (permission denied) or 500, with the error's kind and message.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};

use support::json::Value;
use support::wasip2::filesystem::preopens;
use support::wasip2::filesystem::types::ErrorCode as FsError;
use support::{CHUNK_BYTES, Head, Request, Responder};

support::serve!(answer);

fn answer(request: Request, out: Responder) {
    let (method, path) = (request.method(), request.path());
    let parameter = if path == "/list" { "dir" } else { "path" };
    let Some(target) = request.query(parameter) else {
        return out.text(400, &format!("name a {parameter}\n"));
    };
    let done = match (method.as_str(), path.as_str()) {
        ("GET", "/list") => list(&target),
        ("GET", "/read" | "/escape") => return read(&target, out),
        ("GET", "/stat") => stat(&target),
        ("PUT", "/write") => write(&target, request),
        ("DELETE", "/remove") => fs::remove_file(&target).map(|()| "removed\n".to_owned()),
        ("POST", "/rename") => fs::rename(&target, to(&request)).map(|()| "renamed\n".to_owned()),
        ("POST", "/symlink") => symlink(&target, &to(&request)).map(|()| "linked\n".to_owned()),
        _ => {
            return out.text(
                404,
                "GET /list /read /escape /stat, PUT /write, POST /rename /symlink, DELETE /remove\n",
            );
        }
    };
    match done {
        Ok(text) => out.text(200, &text),
        Err(error) => fail(&error, out),
    }
}

fn to(request: &Request) -> String {
    request.query("to").unwrap_or_default()
}

/// The standard library makes no links on this target yet.
fn symlink(path: &str, to: &str) -> io::Result<()> {
    let directories = preopens::get_directories();
    let (directory, _) = directories
        .first()
        .ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
    directory.symlink_at(to, path).map_err(|code| match code {
        FsError::NotPermitted | FsError::Access => io::Error::new(ErrorKind::PermissionDenied, code.name()),
        FsError::NoEntry => io::Error::new(ErrorKind::NotFound, code.name()),
        _ => io::Error::other(code.name()),
    })
}

fn fail(error: &io::Error, out: Responder) {
    let status = match error.kind() {
        ErrorKind::NotFound => 404,
        ErrorKind::PermissionDenied => 403,
        _ => 500,
    };
    out.text(status, &format!("{:?}: {error}\n", error.kind()));
}

fn list(dir: &str) -> io::Result<String> {
    let names: io::Result<Vec<_>> = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned() + "\n"))
        .collect();
    let mut names = names?;
    names.sort();
    Ok(names.concat())
}

/// The first piece is read before the head is sent, so that what cannot be read has its status.
fn read(path: &str, out: Responder) {
    let mut piece = vec![0; CHUNK_BYTES];
    let (mut file, mut size) = match open(path, &mut piece) {
        Ok(opened) => opened,
        Err(error) => return fail(&error, out),
    };
    let mut body = out.start(Head::new(200).header("content-type", "application/octet-stream"));
    while size > 0 {
        if body.write(piece.get(..size).unwrap_or_default()).is_err() {
            return;
        }
        size = match file.read(&mut piece) {
            Ok(size) => size,
            // Without its end the response is seen to be broken.
            Err(_) => return,
        };
    }
    body.finish(&[]);
}

fn open(path: &str, piece: &mut [u8]) -> io::Result<(File, usize)> {
    let mut file = File::open(path)?;
    let size = file.read(piece)?;
    Ok((file, size))
}

fn stat(path: &str) -> io::Result<String> {
    let about = fs::metadata(path)?;
    let kind = match about.file_type() {
        kind if kind.is_file() => "file",
        kind if kind.is_dir() => "dir",
        _ => "other",
    };
    let about = Value::object([("kind", Value::text(kind)), ("bytes", Value::Number(about.len()))]);
    Ok(about.to_string())
}

fn write(path: &str, request: Request) -> io::Result<String> {
    let mut file = File::create(path)?;
    let mut body = request.into_body();
    let mut written = 0;
    while let Some(bytes) = body.read().map_err(io::Error::other)? {
        file.write_all(&bytes)?;
        written += bytes.len();
    }
    Ok(written.to_string())
}
