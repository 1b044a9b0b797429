//! The streaming side of the interface, as kubectl uses it: Exec, Attach and PortForward answer with an address, and a
//! websocket to it carries the streams. The first byte of each message names the channel.
//!
//! The subprotocol is `v4.channel.k8s.io`, which every server speaks. It cannot say that standard input has ended, so
//! the command in the container has to end by itself.

use crate::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const OUTCOME: u8 = 3;
const RESIZE: u8 = 4;

/// How long to listen before looking at standard input again.
const TURN: Duration = Duration::from_millis(20);

type Socket = WebSocket<TcpStream>;

/// Copies the standard streams to and from the address. Gives the status of the command.
pub fn follow(url: &str, size: Option<&str>) -> Result<u8, Error> {
    let mut socket = connect(url)?;
    if let Some((rows, columns)) = size.and_then(|size| size.split_once('x')) {
        let size = format!("{{\"Width\":{columns},\"Height\":{rows}}}");
        send(&mut socket, RESIZE, size.as_bytes())?;
    }
    let input = reader();
    let mut status = 0;
    loop {
        match input.try_recv() {
            Ok(chunk) => send(&mut socket, STDIN, &chunk)?,
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        let Some(message) = next(&mut socket)? else { return Ok(status) };
        match message.split_first() {
            Some((&STDOUT, bytes)) => put(&mut io::stdout(), bytes)?,
            Some((&STDERR, bytes)) => put(&mut io::stderr(), bytes)?,
            Some((&OUTCOME, bytes)) if !bytes.is_empty() => status = outcome(bytes)?,
            _ => {}
        }
    }
}

/// Sends the bytes to a port of the pod and prints all that comes back.
pub fn forward(url: &str, port: u16, bytes: &[u8]) -> Result<u8, Error> {
    // Each port has a channel for data and one for errors; both begin with the port's number.
    let (data, errors) = (0, 1);
    let mut socket =
        connect(&format!("{url}{}port={port}", if url.contains('?') { '&' } else { '?' }))?;
    send(&mut socket, data, bytes)?;
    let (mut seen_data, mut seen_errors) = (false, false);
    while let Some(message) = next(&mut socket)? {
        match message.split_first() {
            Some((&channel, _)) if channel == data && !std::mem::replace(&mut seen_data, true) => {}
            Some((&channel, _))
                if channel == errors && !std::mem::replace(&mut seen_errors, true) => {}
            Some((&channel, bytes)) if channel == data => put(&mut io::stdout(), bytes)?,
            Some((&channel, bytes)) if channel == errors => {
                return Err(String::from_utf8_lossy(bytes).into())
            }
            _ => {}
        }
    }
    Ok(0)
}

fn connect(url: &str) -> Result<Socket, Error> {
    let mut request = url.replacen("http", "ws", 1).into_client_request()?;
    let host = request.uri().authority().ok_or("the address has no host")?.to_string();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", HeaderValue::from_static("v4.channel.k8s.io"));
    let (socket, _) = tungstenite::client(request, TcpStream::connect(&host)?)?;
    socket.get_ref().set_read_timeout(Some(TURN))?;
    Ok(socket)
}

/// The next message, an empty one when nothing came in time, none at the end.
fn next(socket: &mut Socket) -> Result<Option<Vec<u8>>, Error> {
    use tungstenite::error::{Error as Failure, ProtocolError};
    match socket.read() {
        Ok(Message::Binary(bytes)) => Ok(Some(bytes.to_vec())),
        Ok(Message::Close(_)) => Ok(None),
        Ok(_) => Ok(Some(Vec::new())),
        Err(
            Failure::ConnectionClosed
            | Failure::Protocol(ProtocolError::ResetWithoutClosingHandshake),
        ) => Ok(None),
        Err(Failure::Io(error))
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
        {
            Ok(Some(Vec::new()))
        }
        Err(Failure::Io(error))
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn send(socket: &mut Socket, channel: u8, bytes: &[u8]) -> Result<(), Error> {
    let mut message = vec![channel];
    message.extend_from_slice(bytes);
    Ok(socket.send(Message::Binary(message.into()))?)
}

fn put(stream: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    stream.write_all(bytes)?;
    Ok(stream.flush()?)
}

/// Standard input, read by a thread, because a websocket and a pipe cannot be waited for together without a poller.
fn reader() -> Receiver<Vec<u8>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = io::stdin().read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The exit status from the `Status` object of Kubernetes that ends an exec.
fn outcome(json: &[u8]) -> Result<u8, Error> {
    let status: serde_json::Value = serde_json::from_slice(json)?;
    if status["status"] == "Success" {
        return Ok(0);
    }
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let code = causes
        .filter(|cause| cause["reason"] == "ExitCode")
        .find_map(|cause| cause["message"].as_str()?.parse().ok());
    code.ok_or_else(|| status["message"].to_string().into())
}
