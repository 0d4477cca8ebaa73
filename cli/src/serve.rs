//! `legonf serve`: a replay that has ended, to be looked at in a browser.

use crate::failure::Failure;
use crate::http::Http;
use crate::interrupt;
use clap::Args;
use legonf_engine::Playback;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How often it is looked whether somebody ends it.
const LOOK: Duration = Duration::from_millis(100);

/// Shows the results of a replay as the page of a run shows them, at any second of the capture: play, pause, and a slider. The API is that
/// of a run, and changes nothing; `?at=SECONDS` chooses the moment. It ends by Ctrl-C.
#[derive(Args)]
pub struct Arguments {
    /// A folder of `legonf replay --out` or `legonf run --out`, of a capture of packets.
    #[arg(long, value_name = "DIR")]
    open: PathBuf,
    #[command(flatten)]
    http: Http,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let playback = Arc::new(Playback::open(&arguments.open)?);
    let server = arguments.http.server_or("127.0.0.1:8080", "the replay is shown")?;
    server.play(&playback)?;
    let stop = interrupt::install();
    while !stop.load(Relaxed) {
        std::thread::sleep(LOOK);
    }
    Ok(())
}
