//! The thread that answers.

use crate::address::is_local;
use crate::api::renew::{MODEL, MODEL_PATH};
use crate::api::{self, Problem, Shared};
use crate::connections::{self as activity, Activity, Connections, Place};
use crate::deadline::Deadline;
use crate::history::History;
use crate::played;
use crate::publish::publish;
use crate::rate::Bucket;
use crate::{Address, Encryption, ServerError, Token};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use legonf_engine::Playback;
use legonf_engine::monitor::Monitor;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Connections at once, at most.
const CONNECTIONS: usize = 256;
/// Bytes of the head of a request, and its lines, at most.
const HEAD: usize = 16 << 10;
const HEADERS: usize = 64;
/// Bytes of a body, at most.
pub(crate) const BODY: usize = 16 << 10;
/// How long a TLS handshake and the head of a request may take, a whole one, and a peer that reads nothing.
const HEAD_TIME: Duration = Duration::from_secs(10);
const REQUEST_TIME: Duration = Duration::from_secs(20);
const READ_TIME: Duration = Duration::from_secs(10);
/// Requests at once, and a second.
const BURST: f64 = 400.0;
const PER_SECOND: f64 = 200.0;
/// How long to wait where no connection can be taken, for want of files.
const PAUSE: Duration = Duration::from_millis(100);

/// A server that listens, and answers as soon as a run begins.
#[derive(Debug)]
pub struct Server {
    listener: StdListener,
    token: Option<Token>,
    encryption: Option<Encryption>,
}

impl Server {
    /// Listens. Without a token nothing can be changed. With a certificate there must be one, which reading needs, too.
    ///
    /// # Errors
    /// If the address is taken, or not to be had; if it is reached from elsewhere, but there is no certificate or no token.
    pub fn listen(
        address: &Address,
        token: Option<Token>,
        encryption: Option<Encryption>,
    ) -> Result<Self, ServerError> {
        let is_open = encryption.is_none() && (address.is_https() || !address.is_loopback());
        if is_open || encryption.is_some() && token.is_none() {
            return Err(ServerError::Unsafe { address: address.to_string() });
        }
        let failed = |source| ServerError::Listen { address: address.to_string(), source };
        let listener = StdListener::bind(address.host_and_port()).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, token, encryption })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.encryption.is_some() { "https" } else { "http" }
    }

    /// Answers from now on, in a thread of its own, for as long as the process lives.
    ///
    /// # Errors
    /// If there can be no such thread.
    pub fn start(self, monitor: &Arc<Monitor>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let monitor = monitor.clone();
        let serve = move || {
            runtime.block_on(async {
                let router = followed(&self, monitor);
                serve(self, router).await;
            });
        };
        std::thread::Builder::new().name("http".into()).spawn(serve).map(drop)
    }

    /// Answers from a run that has ended, as it was at any moment, for as long as the process lives.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub fn play(self, playback: &Arc<Playback>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let router = played::router(playback, self.token.clone(), self.encryption.is_some());
        let serve = move || runtime.block_on(serve(self, router));
        std::thread::Builder::new().name("http".into()).spawn(serve).map(drop)
    }
}

/// Answers from a run that goes on.
fn followed(server: &Server, monitor: Arc<Monitor>) -> Router {
    let history = Arc::new(Mutex::new(History::default()));
    let (sender, updates) = watch::channel(Bytes::new());
    tokio::spawn(publish(monitor.clone(), history.clone(), sender));
    let is_encrypted = server.encryption.is_some();
    api::router(Shared::new(monitor, history, updates, server.token.clone(), is_encrypted))
}

async fn serve(server: Server, router: Router) {
    let Ok(listener) = TcpListener::from_std(server.listener) else { return };
    let desk = Desk { router, bucket: bucket(), acceptor: server.encryption.map(|each| each.acceptor()) };
    let connections = Connections::new(CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => take(stream, &connections, &desk),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn bucket() -> Arc<Mutex<Bucket>> {
    Arc::new(Mutex::new(Bucket::new(BURST, PER_SECOND, Instant::now())))
}

/// By what connections are served.
#[derive(Clone)]
struct Desk {
    router: Router,
    bucket: Arc<Mutex<Bucket>>,
    /// Where all is encrypted.
    acceptor: Option<TlsAcceptor>,
}

/// Serves a connection in a task of its own, if there is room for it.
fn take(stream: TcpStream, connections: &Arc<Connections>, desk: &Desk) {
    let activity = Activity::begin();
    let Some(place) = connections.place(&activity) else { return };
    let number = place.number();
    let task = tokio::spawn(connection(stream, (place, activity), desk.clone()));
    connections.ends_by(number, task.abort_handle());
}

async fn connection(stream: TcpStream, (place, activity): (Place, Activity), desk: Desk) {
    let _ = stream.set_nodelay(true);
    let _place = place;
    let Some(acceptor) = desk.acceptor.clone() else {
        return converse(Deadline::new(stream, READ_TIME), activity, desk).await;
    };
    let shakes_hands = async {
        if is_plain(&stream).await {
            refuse_plain(stream).await;
            return None;
        }
        // Who does not take the certificate, or speaks no TLS, is told so by an alert.
        acceptor.accept(Deadline::new(stream, READ_TIME)).await.ok()
    };
    if let Ok(Some(stream)) = timeout(HEAD_TIME, shakes_hands).await {
        converse(stream, activity, desk).await;
    }
}

/// Whether what comes is HTTP without TLS: its methods are letters, and a handshake begins with 22.
async fn is_plain(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_alphabetic()
}

async fn refuse_plain(mut stream: TcpStream) {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "this port speaks TLS; ask for https://");
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close";
    let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    // What is not read would reset the connection, and take the answer away.
    let _ = tokio::io::copy(&mut stream.take(HEAD as u64), &mut tokio::io::sink()).await;
}

/// Answers the requests of a connection.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, activity: Activity, desk: Desk) {
    let is_encrypted = desk.acceptor.is_some();
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, bucket, begun) = (desk.router.clone(), desk.bucket.clone(), activity.request());
        async move {
            let response = answer(router, &bucket, request, is_encrypted).await;
            Ok::<_, Infallible>(response.map(|body| Held { body, _request: begun }))
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD).max_headers(HEADERS);
    // Who goes away in the middle has nobody to answer to.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// Answers a request, or says why not.
async fn answer(
    router: Router,
    bucket: &Mutex<Bucket>,
    request: Request<Incoming>,
    is_encrypted: bool,
) -> Response {
    let may = bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
    let host = request.headers().get(header::HOST).map(HeaderValue::to_str);
    let mut response = if !may {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests a second; try again").into_response()
    } else if !is_encrypted && host.is_some_and(|host| !host.is_ok_and(is_local)) {
        let reason = "the header Host names another machine; ask for 127.0.0.1, [::1] or localhost";
        Problem::new(StatusCode::FORBIDDEN, reason).into_response()
    } else if let Some(most) = exceeded(&request) {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has {most} bytes at most"))
            .into_response()
    } else {
        let answer = TowerToHyperService::new(router).call(request);
        match timeout(REQUEST_TIME, answer).await {
            Ok(Ok(response)) => response,
            Err(_) => Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response(),
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS_OF_ALL {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What the body of a request may have at most, where its head says that it has more.
fn exceeded(request: &Request<Incoming>) -> Option<usize> {
    let most = if request.uri().path() == MODEL_PATH { MODEL } else { BODY };
    let declared: u64 = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    (declared > most as u64).then_some(most)
}

/// What browsers may do with an answer: load nothing from elsewhere, show it nowhere else, and keep nothing.
const HEADERS_OF_ALL: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// A body with the request that it answers: for as long as it is sent, the connection is at work.
struct Held {
    body: Body,
    _request: activity::Request,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
