//! Records of JSON as messages of a subject of NATS.

use super::{Lines, Loss, SinkError};
use async_nats::{Client, ConnectOptions, ServerAddr};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// Bytes that wait for a broker before records are lost.
const WAITING: usize = 4 << 20;
/// How long a connection may take, how long to wait before the next one is tried, and how long the end of a run waits for the broker.
const CONNECTING: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(500);
const FAREWELL: Duration = Duration::from_secs(1);
/// Messages that the client holds by itself.
const HELD: usize = 64;

/// A subject of a broker.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsTarget {
    /// Where the broker is.
    url: String,
    subject: String,
}

impl fmt::Debug for NatsTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl NatsTarget {
    /// The target that `nats://HOST:PORT/SUBJECT` or `tls://HOST:PORT/SUBJECT` stands for; user and password may stand before the host.
    pub fn parse(text: &str) -> Option<Self> {
        let (url, subject) = text.rsplit_once('/')?;
        let is_url = ["nats://", "tls://"].iter().any(|scheme| url.starts_with(scheme))
            && url.parse::<ServerAddr>().is_ok_and(|server| !server.host().is_empty());
        let is_token = |token: &str| {
            !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && !b"*>".contains(&byte))
        };
        let is_sound = is_url && subject.split('.').all(is_token) && subject.len() <= 255;
        is_sound.then(|| Self { url: url.to_owned(), subject: subject.to_owned() })
    }
}

/// Without the password.
impl fmt::Display for NatsTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("nats", &self.url));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        write!(f, "{scheme}://{host}/{}", self.subject)
    }
}

/// Publishes each line as a message, in a thread of its own, so that who writes never waits.
///
/// A broker may come late, go and come again: 4 MiB are kept for it, and what goes beyond is counted as lost. What was sent and not yet
/// taken when a broker goes is lost without being known; a broker that stores (JetStream) takes what comes when it is there.
#[derive(Debug)]
pub struct Nats {
    name: String,
    queue: Option<UnboundedSender<Vec<u8>>>,
    /// Bytes in the queue.
    waiting: Arc<AtomicUsize>,
    /// Hears how many records were left at the end.
    left: Receiver<u64>,
    loss: Loss,
}

impl Nats {
    /// Begins to look for a broker.
    ///
    /// # Errors
    /// [`SinkError::Create`] when there can be no thread for it.
    pub fn open(target: &NatsTarget) -> Result<Self, SinkError> {
        let name = target.to_string();
        let failed = |source| SinkError::Create { path: name.clone(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (queue, records) = unbounded_channel();
        let (tell, left) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        let (target, taken) = (target.clone(), waiting.clone());
        let publish = move || _ = tell.send(runtime.block_on(publish(&target, records, &taken)));
        std::thread::Builder::new().name("nats".into()).spawn(publish).map_err(failed)?;
        Ok(Self { name, queue: Some(queue), waiting, left, loss: Loss::default() })
    }
}

/// Publishes what comes, until nothing more does, and gives how many records were left.
async fn publish(target: &NatsTarget, mut records: UnboundedReceiver<Vec<u8>>, waiting: &AtomicUsize) -> u64 {
    let options = ConnectOptions::new()
        .name("legonf")
        .retry_on_initial_connect()
        .connection_timeout(CONNECTING)
        .reconnect_delay_callback(|_| AGAIN)
        .client_capacity(HELD);
    let Ok(client) = options.connect(&*target.url).await else { return rest(&mut records, 0) };
    let mut held = 0;
    while let Some(record) = records.recv().await {
        let length = record.len();
        held += 1;
        // It waits where the client holds as many as it does, and so the queue grows up to its bound.
        let mut sending = Box::pin(client.publish(target.subject.clone(), record.into()));
        let sent = tokio::select! {
            sent = &mut sending => sent.is_ok(),
            () = is_closed(&records) => timeout(FAREWELL, sending).await.is_ok_and(|sent| sent.is_ok()),
        };
        waiting.fetch_sub(length, Relaxed);
        if !sent {
            return rest(&mut records, held);
        }
        if records.is_empty() && flush(&client).await {
            held = 0;
        }
    }
    if flush(&client).await { 0 } else { held }
}

/// Waits until nothing more is written.
async fn is_closed(records: &UnboundedReceiver<Vec<u8>>) {
    while !records.is_closed() {
        tokio::time::sleep(AGAIN / 5).await;
    }
}

/// Whether the broker has what the client held.
async fn flush(client: &Client) -> bool {
    use async_nats::connection::State;
    client.connection_state() == State::Connected
        && matches!(timeout(FAREWELL, client.flush()).await, Ok(Ok(())))
}

fn rest(records: &mut UnboundedReceiver<Vec<u8>>, held: u64) -> u64 {
    records.close();
    let mut left = held;
    while records.try_recv().is_ok() {
        left += 1;
    }
    left
}

impl Lines for Nats {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn put(&mut self, units: &[u8]) -> Result<(), SinkError> {
        for line in units.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let room = self.waiting.load(Relaxed) + line.len() <= WAITING;
            let queue = self.queue.as_ref().filter(|_| room);
            let sent = queue.is_some_and(|queue| queue.send(line.to_vec()).is_ok());
            if sent {
                self.waiting.fetch_add(line.len(), Relaxed);
            } else {
                self.loss.add(1, &io::Error::other("the broker does not take what there is"));
            }
        }
        Ok(())
    }

    fn loss(&self) -> Loss {
        self.loss.clone()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        drop(self.queue.take());
        match self.left.recv_timeout(2 * FAREWELL + CONNECTING) {
            Ok(0) | Err(_) => {}
            Ok(left) => self.loss.add(left, &io::Error::other("the broker did not take it before the end")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    /// A broker that stores what comes to a subject.
    struct Broker(Child);

    impl Broker {
        fn start(port: u16, folder: &Path) -> Self {
            let mut command = Command::new("nats-server");
            command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(folder);
            Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        }
    }

    impl Drop for Broker {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    /// Asks a broker's API, once it is there.
    async fn ask(client: &Client, subject: String, body: String) -> serde_json::Value {
        let start = Instant::now();
        loop {
            let asked = client.request(subject.clone(), body.clone().into());
            if let Ok(Ok(answer)) = timeout(FAREWELL, asked).await {
                return serde_json::from_slice(&answer.payload).unwrap();
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{subject}");
            tokio::time::sleep(AGAIN / 5).await;
        }
    }

    async fn stored(client: &Client) -> u64 {
        let info = ask(client, "$JS.API.STREAM.INFO.EVE".into(), String::new()).await;
        info["state"]["messages"].as_u64().unwrap_or_else(|| panic!("{info}"))
    }

    #[test]
    fn a_target_is_a_broker_and_a_subject() {
        let shown = |text: &str| NatsTarget::parse(text).map(|target| target.to_string());
        for text in ["nats://127.0.0.1:4222/legonf.eve", "tls://broker.example/a", "nats://[::1]:4222/a.b.c"]
        {
            assert_eq!(shown(text).as_deref(), Some(text));
        }
        let secret = "nats://user:secret@127.0.0.1:4222/a";
        assert_eq!(shown(secret).as_deref(), Some("nats://127.0.0.1:4222/a"));
        for text in ["", "127.0.0.1:4222/a", "http://a/b", "nats://a", "nats:///a", "nats://a:1/"] {
            assert_eq!(shown(text), None, "{text}");
        }
        for subject in ["a..b", "a.*", ">", "a b", "a\r\nPUB", &"x".repeat(256)] {
            assert_eq!(shown(&format!("nats://a:1/{subject}")), None, "{subject:?}");
        }
    }

    #[test]
    fn a_broker_gets_every_record_though_it_comes_late_and_comes_again() {
        if Command::new("nats-server").arg("--version").output().is_err() {
            eprintln!("skipped: nats-server is not there");
            return;
        }
        let (folder, port) = (tempfile::tempdir().unwrap(), port());
        let target = NatsTarget::parse(&format!("nats://127.0.0.1:{port}/legonf.eve")).unwrap();
        let mut nats = Nats::open(&target).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let first = Broker::start(port, folder.path());
            let options =
                ConnectOptions::new().retry_on_initial_connect().reconnect_delay_callback(|_| AGAIN / 5);
            let client = options.connect(&*target.url).await.unwrap();
            let stream = r#"{"name": "EVE", "subjects": ["legonf.eve"], "storage": "file"}"#;
            let made = ask(&client, "$JS.API.STREAM.CREATE.EVE".into(), stream.into()).await;
            assert!(made["error"].is_null(), "{made}");
            nats.put(b"{\"n\":0}\n{\"n\":1}\n").unwrap();
            while stored(&client).await < 2 {
                tokio::time::sleep(AGAIN / 5).await;
            }
            drop(first);
            // The client hears of it at once; then it holds what comes.
            while client.connection_state() == async_nats::connection::State::Connected {
                tokio::time::sleep(AGAIN / 5).await;
            }
            tokio::time::sleep(AGAIN).await;
            (2..1_000).for_each(|n| nats.put(format!("{{\"n\":{n}}}\n").as_bytes()).unwrap());
            let second = Broker::start(port, folder.path());
            while stored(&client).await < 1_000 {
                tokio::time::sleep(AGAIN / 5).await;
            }
            for n in [0, 1, 2, 500, 999] {
                let body = format!("{{\"seq\": {}}}", n + 1);
                let message = ask(&client, "$JS.API.STREAM.MSG.GET.EVE".into(), body).await;
                assert_eq!(message["message"]["subject"], "legonf.eve", "{message}");
                let data = message["message"]["data"].as_str().unwrap();
                use base64::Engine;
                let text = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
                assert_eq!(String::from_utf8(text).unwrap(), format!("{{\"n\":{n}}}"));
            }
            drop(second);
        });
        nats.finish().unwrap();
        assert_eq!(nats.loss(), Loss::default());
    }

    #[test]
    fn a_broker_that_never_comes_costs_what_it_did_not_take_and_no_time() {
        let target = NatsTarget::parse(&format!("nats://127.0.0.1:{}/a", port())).unwrap();
        let mut nats = Nats::open(&target).unwrap();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        (0..10_000).for_each(|_| nats.put(&line).unwrap());
        let lost = nats.loss().units;
        assert!((5_000..7_000).contains(&lost), "{lost}");
        nats.finish().unwrap();
        assert_eq!(nats.loss().units, 10_000);
    }
}
