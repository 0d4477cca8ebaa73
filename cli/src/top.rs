//! `legonf top`: a run that was started with `--http`, in a terminal.

mod screen;

use crate::Style;
use crate::failure::Failure;
use crate::http::Run;
use crate::interrupt;
use clap::Args;
use legonf_server::api::{Counters, EventList, Graph, HistoryList, IncidentList};
use legonf_server::{Client, ServerError};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use screen::{Palette, Screen};
use std::io::{IsTerminal, stdin, stdout};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

/// How long the program waits for a key before it looks for what else has come.
const LOOK: Duration = Duration::from_millis(100);

/// Shows a run in the terminal while it goes on: throughput, what each replica does, the bottleneck, where packets went, incidents and
/// decisions. Only what changes is drawn, so a slow line will do. The environment variable NO_COLOR turns colours off.
///
/// Keys: q ends, p pauses, Tab changes between incidents and decisions, the arrows and PgUp, PgDn scroll them.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    run: Run,
    /// Ask the run so often.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
}

/// A time of 100 ms to an hour.
fn interval(text: &str) -> Result<Duration, legonf_engine::arguments::Expected> {
    legonf_engine::arguments::time(text)
        .ok()
        .filter(|time| (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(time))
        .ok_or(legonf_engine::arguments::Expected("a time from 100ms to 1h, such as 2s"))
}

/// What a run said of itself.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    graph: Graph,
    counters: Counters,
    history: HistoryList,
    incidents: IncidentList,
    events: EventList,
}

/// An answer, or why there is none.
type Answer = Result<Box<Seen>, ServerError>;

impl Seen {
    fn ask(client: &Client) -> Answer {
        let graph = client.get("/api/v1/graph")?;
        let counters = client.get("/api/v1/counters")?;
        let history = client.get("/api/v1/history")?;
        let incidents = client.get("/api/v1/incidents")?;
        let events = client.get("/api/v1/events")?;
        Ok(Box::new(Self { graph, counters, history, incidents, events }))
    }
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let once = "`legonf status` prints once";
    if style.json {
        return Err(Failure::fault(format!("--json: top is for people; {once}, with --json too")));
    }
    if !stdout().is_terminal() || !stdin().is_terminal() {
        return Err(Failure::fault(format!("standard input and output must be a terminal; {once}")));
    }
    let client = arguments.run.client()?;
    // Who cannot be reached at all is told of in a line, not on a screen.
    let first = Seen::ask(&client)?;
    let answers = follow(client, arguments.interval)?;
    let stop = interrupt::install();
    let mut terminal = ratatui::try_init()?;
    let mut screen = Screen::new(*first, Palette::of_environment());
    let shown = show(&mut terminal, &mut screen, &answers, &|| stop.load(Relaxed));
    ratatui::restore();
    Ok(shown?)
}

/// Asks a run again and again, in a thread of its own, until nobody wants the answers any more: a run that does not answer stops no key.
fn follow(client: Client, interval: Duration) -> std::io::Result<Receiver<Answer>> {
    let (sender, answers) = sync_channel(1);
    let ask = move || {
        loop {
            thread::sleep(interval);
            if sender.send(Seen::ask(&client)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("top".into()).spawn(ask)?;
    Ok(answers)
}

/// Draws what comes, and does what keys say, until one says that it is over.
fn show(
    terminal: &mut DefaultTerminal,
    screen: &mut Screen,
    answers: &Receiver<Answer>,
    is_over: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    let mut is_drawn = false;
    while !is_over() {
        if !is_drawn {
            terminal.draw(|frame| screen.draw(frame))?;
            is_drawn = true;
        }
        if event::poll(LOOK)? {
            match event::read()? {
                Event::Key(key) if is_last(key) => return Ok(()),
                Event::Key(key) if key.kind != KeyEventKind::Release => is_drawn = !screen.press(key.code),
                Event::Resize(..) => is_drawn = false,
                _ => {}
            }
        }
        match answers.try_recv() {
            Ok(answer) => is_drawn &= !screen.take(answer.map(|seen| *seen)),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
    Ok(())
}

/// Whether a key ends the program.
fn is_last(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) || control && key.code == KeyCode::Char('c')
}
