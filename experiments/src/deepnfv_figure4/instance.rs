//! One instance: a thread, a process or a container that classifies images.

use super::{container, refused, shown};
use crate::ExperimentError;
use crate::bench::networks::{Made, deepnfv};
use legonf_core::{Rows, cells};
use legonf_engine::Error;
use legonf_models::{Engine, FeedForward, Output};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes of an image.
const BYTES: usize = 784;
/// What an instance says when it has its network.
const READY: &str = "ready";
/// Seed of the weights.
const SEED: u64 = 1;

/// The network of all instances.
pub(super) fn network() -> Made {
    deepnfv(SEED)
}

/// What an instance is.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    Thread,
    Process,
    Container { runc: &'a Path, rootfs: &'a Path },
}

impl Kind<'_> {
    pub fn name(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Process => "process",
            Self::Container { .. } => "container",
        }
    }
}

/// A network that classifies one image at a time.
struct Classifier {
    engine: FeedForward,
    outputs: Vec<Output>,
}

impl Classifier {
    fn new() -> Result<Self, ExperimentError> {
        let mut engine = FeedForward::open(&network().onnx)?;
        engine.warm().map_err(Error::from)?;
        let outputs = engine.signature().wanted();
        Ok(Self { engine, outputs })
    }

    /// The class of an image, and how long the forward pass took.
    fn classify(&mut self, image: &[u8]) -> Result<(usize, Duration), ExperimentError> {
        let numbers: Vec<f32> = image.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let start = Instant::now();
        self.engine.run(&[Box::new(Rows::of([&numbers[..]]))], &mut self.outputs).map_err(Error::from)?;
        let taken = start.elapsed();
        let probabilities = cells::<f32>(&*self.outputs[0].column).unwrap_or_default();
        let most = probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        Ok((most.map_or(0, |(class, _)| class), taken))
    }
}

/// Is an instance: says that it is ready, and answers each image with its class and the nanoseconds of the pass.
pub(super) fn serve() -> Result<(), ExperimentError> {
    let mut classifier = Classifier::new()?;
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut say = |line: &str| writeln!(output, "{line}").and_then(|()| output.flush());
    say(READY).map_err(|error| refused("standard output", error))?;
    let mut image = [0; BYTES];
    while input.read_exact(&mut image).is_ok() {
        let (class, taken) = classifier.classify(&image)?;
        say(&format!("{class} {}", taken.as_nanos())).map_err(|error| refused("standard output", error))?;
    }
    Ok(())
}

/// An instance that runs.
pub(super) enum Instance {
    Thread {
        images: Sender<[u8; BYTES]>,
        answers: Receiver<Result<(usize, Duration), String>>,
        thread: JoinHandle<()>,
        /// Bytes by which the process grew.
        memory: u64,
    },
    Process {
        child: Child,
        input: ChildStdin,
        output: BufReader<ChildStdout>,
        container: Option<container::Container>,
    },
}

/// The image of a number: each is another one.
fn image(number: u32) -> [u8; BYTES] {
    std::array::from_fn(|at| (at as u32 * 31 + number * 17) as u8)
}

impl Instance {
    /// Makes an instance that has its network, and says how long that took.
    pub fn make(kind: Kind<'_>, number: u16) -> Result<(Self, Duration), ExperimentError> {
        match kind {
            Kind::Thread => Self::thread(),
            Kind::Process => {
                let program = std::env::current_exe().map_err(|error| refused("this program", error))?;
                let mut command = Command::new(&program);
                command.args(ARGUMENTS);
                Self::spawn(&mut command, &shown(&program), None)
            }
            Kind::Container { runc, rootfs } => {
                let container = container::Container::new(runc, rootfs, number)?;
                Self::spawn(&mut container.command(), &shown(runc), Some(container))
            }
        }
    }

    fn thread() -> Result<(Self, Duration), ExperimentError> {
        let (before, start) = (resident("self")?, Instant::now());
        let ((images, taken), (answer, answers)) = (channel::<[u8; BYTES]>(), channel());
        let (tell, ready) = channel();
        let thread = thread::spawn(move || match Classifier::new() {
            Err(error) => drop(tell.send(Err(error.to_string()))),
            Ok(mut classifier) => {
                let _ = tell.send(Ok(()));
                for image in taken {
                    let found = classifier.classify(&image).map_err(|error| error.to_string());
                    if answer.send(found).is_err() {
                        break;
                    }
                }
            }
        });
        let made = ready.recv().map_err(|error| refused("the thread", error))?;
        made.map_err(|error| refused("the thread", error))?;
        let taken = start.elapsed();
        let memory = resident("self")?.saturating_sub(before);
        Ok((Self::Thread { images, answers, thread, memory }, taken))
    }

    fn spawn(
        command: &mut Command,
        program: &str,
        container: Option<container::Container>,
    ) -> Result<(Self, Duration), ExperimentError> {
        let start = Instant::now();
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| refused(program, error))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(refused(program, "it has no standard input and output"));
        };
        let mut instance = Self::Process { child, input, output: BufReader::new(output), container };
        let line = instance.line()?;
        if line != READY {
            return Err(refused(program, format!("it said {line:?} and not that it is ready")));
        }
        Ok((instance, start.elapsed()))
    }

    fn line(&mut self) -> Result<String, ExperimentError> {
        let Self::Process { output, .. } = self else { return Ok(String::new()) };
        let mut line = String::new();
        output.read_line(&mut line).map_err(|error| refused("the instance", error))?;
        Ok(line.trim_end().to_owned())
    }

    /// Gives it the first image; how long until the answer.
    pub fn start(&mut self) -> Result<Duration, ExperimentError> {
        self.classify(0).map(|(_, round_trip)| round_trip)
    }

    /// Lets it classify an image: how long the pass took there, and how long all of it.
    pub fn classify(&mut self, number: u32) -> Result<(Duration, Duration), ExperimentError> {
        let (image, start) = (image(number), Instant::now());
        let pass = match self {
            Self::Thread { images, answers, .. } => {
                images.send(image).map_err(|error| refused("the thread", error))?;
                let answer = answers.recv().map_err(|error| refused("the thread", error))?;
                answer.map_err(|error| refused("the thread", error))?.1
            }
            Self::Process { input, .. } => {
                input.write_all(&image).map_err(|error| refused("the instance", error))?;
                let line = self.line()?;
                let nanos = line.split(' ').nth(1).and_then(|nanos| nanos.parse().ok());
                let nanos = nanos.ok_or_else(|| refused("the instance", format!("it answered {line:?}")))?;
                Duration::from_nanos(nanos)
            }
        };
        Ok((pass, start.elapsed()))
    }

    /// Bytes of memory that it takes alone, and its share of what it uses with others.
    pub fn memory(&self) -> Result<u64, ExperimentError> {
        match self {
            Self::Thread { memory, .. } => Ok(*memory),
            Self::Process { child, container, .. } => match container {
                Some(container) => proportional(container.pid()?),
                None => proportional(child.id()),
            },
        }
    }

    /// Stops it; how long until it is gone.
    pub fn stop(self) -> Result<Duration, ExperimentError> {
        let start = Instant::now();
        match self {
            Self::Thread { images, thread, .. } => {
                drop(images);
                thread.join().map_err(|_| ExperimentError::Panicked)?;
            }
            Self::Process { mut child, input, container, .. } => {
                drop(input);
                child.wait().map_err(|error| refused("the instance", error))?;
                container.into_iter().try_for_each(container::Container::remove)?;
            }
        }
        Ok(start.elapsed())
    }
}

/// How a process is told to be an instance.
pub(super) const ARGUMENTS: [&str; 3] = ["experiment", "deepnfv-figure4", "--instance"];

/// Bytes of a process that are in memory.
fn resident(process: &str) -> Result<u64, ExperimentError> {
    field(&format!("/proc/{process}/status"), "VmRSS:")
}

fn proportional(process: u32) -> Result<u64, ExperimentError> {
    field(&format!("/proc/{process}/smaps_rollup"), "Pss:")
}

/// A number of KiB in a file of the kernel, in bytes.
fn field(file: &str, name: &str) -> Result<u64, ExperimentError> {
    let text = fs::read_to_string(file).map_err(|error| refused(file, error))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| refused(file, format!("it has no {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_classifies_as_the_network_does() {
        let (mut instance, _) = Instance::make(Kind::Thread, 0).unwrap();
        let (pass, round_trip) = instance.classify(3).unwrap();
        assert!(Duration::ZERO < pass && pass <= round_trip);
        let class = Classifier::new().unwrap().classify(&image(3)).unwrap().0;
        assert!(class < 20);
        instance.stop().unwrap();
    }
}
