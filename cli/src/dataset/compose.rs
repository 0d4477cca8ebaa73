//! `legonf dataset compose`: attacks of some captures in the benign traffic of another.

use crate::failure::{Failure, print_json, tell};
use crate::invalid::Invalid;
use crate::progress::Bar;
use crate::{Style, interrupt};
use clap::Args;
use legonf_core::{BATCH, Packets, count};
use legonf_datasets::compose::{Attack, AttackPart, Composer, Config, Input, Manifest};
use legonf_engine::{input, write_text};
use legonf_io::sink::{OutputFile, PacketFile};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::Ordering;

/// Arguments of `legonf dataset compose`.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct Compose {
    /// The capture of benign traffic; its packets stay as they are.
    benign: PathBuf,
    /// Labels of the benign capture: only its benign packets are taken. Without, all of them are.
    #[arg(long, value_name = "FILE")]
    benign_labels: Option<PathBuf>,
    /// A capture whose attack packets are merged in; may be given several times. Options follow it after commas:
    /// labels=FILE takes its malicious packets only (without, all of them), start=SECONDS is when the first of them
    /// comes (default: halfway through the benign traffic), speed=FACTOR makes them come so many times faster,
    /// thin=N takes the first of every N of them.
    #[arg(long, required = true, value_name = "FILE[,OPTION=VALUE]...")]
    attack: Vec<Part>,
    /// Where the composite goes (pcapng).
    #[arg(long = "out", short, alias = "output", value_name = "FILE")]
    output: PathBuf,
    /// Where its labels go (CSV: index,label).
    #[arg(long = "labels-out", alias = "labels", value_name = "FILE")]
    labels: PathBuf,
    /// Where its manifest goes. Default: beside the composite, with .manifest.json after its name.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Seed of the rule that picks the hosts which the attack's addresses become.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const AFTER: &str = "\
Example: a real scan in your own network's traffic, a minute after its start
  legonf dataset compose benign.pcap --attack scan.pcap,start=60 -o composite.pcapng --labels-out labels.csv
  legonf replay composite.pcapng --labels labels.csv --model kitsune.onnx

The attack's busiest addresses become hosts of the benign capture, so that an infected device of yours seems to do
it; every other address is replaced too. MACs, ARP, neighbour discovery and checksums follow; addresses in
application data do not. The same seed gives the same bytes. Say 'composite' in every report on the result; the
manifest does, and holds the sources with their SHA-256, the seed and the rule.";

/// An attack as the command line has it.
#[derive(Clone, Debug, PartialEq)]
struct Part(Attack);

impl FromStr for Part {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut fields = text.split(',');
        let mut attack = Attack::new(fields.next().unwrap_or_default());
        for field in fields {
            let unknown = || Invalid::Option(field.into());
            let (key, value) = field.split_once('=').ok_or_else(unknown)?;
            let wrong = || Invalid::Number { key: key.into(), value: value.into() };
            let number = || value.parse().map_err(|_| wrong());
            match key {
                "labels" => attack.input.labels = Some(value.into()),
                "start" => attack.start = Some(number()?),
                "speed" => attack.speed = number()?,
                "thin" => attack.thin = value.parse().map_err(|_| wrong())?,
                _ => return Err(unknown()),
            }
        }
        Ok(Self(attack))
    }
}

pub fn run(arguments: &Compose, style: Style) -> Result<(), Failure> {
    let benign = Input { path: arguments.benign.clone(), labels: arguments.benign_labels.clone() };
    let attacks: Vec<_> = arguments.attack.iter().map(|part| part.0.clone()).collect();
    arguments.refuse_to_overwrite(&benign, &attacks)?;
    style.check_outputs([&*arguments.output, &arguments.labels, &arguments.manifest_path()])?;
    let mut composer = Composer::new(Config { benign, attacks, seed: arguments.seed })?;
    write(arguments, &mut composer, style)?;
    let manifest = composer.manifest(&arguments.output, |path| input::origin(path).map(|o| o.sha256))?;
    write_text(&arguments.manifest_path(), &(serde_json::to_string_pretty(&manifest)? + "\n"))?;
    report(&manifest, style)
}

impl Compose {
    fn manifest_path(&self) -> PathBuf {
        self.manifest.clone().unwrap_or_else(|| {
            let mut name = OsString::from(&self.output);
            name.push(".manifest.json");
            name.into()
        })
    }

    /// The composite replaces no file that it is made of, and is a file, since its digest is in the manifest.
    fn refuse_to_overwrite(&self, benign: &Input, attacks: &[Attack]) -> Result<(), Failure> {
        let manifest = self.manifest_path();
        let outputs = [&self.output, &self.labels, &manifest];
        if outputs.iter().any(|path| path.as_os_str() == "-") {
            return Err(Failure::fault("a composite is three files: expected the name of a file, not '-'"));
        }
        let inputs = std::iter::once(benign).chain(attacks.iter().map(|a| &a.input));
        for path in inputs.flat_map(|i| std::iter::once(&i.path).chain(&i.labels)) {
            if let Some(output) = outputs.iter().find(|output| is_same(output, path)) {
                let output = output.display();
                return Err(Failure::fault(format!("{output}: it is one of the sources; name another file")));
            }
        }
        Ok(())
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn write(arguments: &Compose, composer: &mut Composer, style: Style) -> Result<(), Failure> {
    let mut capture = PacketFile::create(&arguments.output)?;
    let mut table = OutputFile::create(&arguments.labels)?;
    table.put(b"index,label\n")?;
    let bar = Bar::new("composing", None, style.quiet);
    let stop = interrupt::install();
    let (mut packets, mut labels) = (Packets::default(), Vec::new());
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted(format!("{}.partial is not whole", arguments.output.display())));
        }
        packets.clear();
        labels.clear();
        composer.append(&mut packets, &mut labels, BATCH)?;
        if packets.is_empty() {
            break;
        }
        for ((record, bytes), label) in packets.iter().zip(&labels) {
            capture.packet(record, bytes)?;
            table.put(format!("{},{}\n", record.seq, u8::from(*label)).as_bytes())?;
        }
        bar.update(composer.progress(), composer.position());
    }
    bar.clear();
    capture.finish()?;
    Ok(table.finish()?)
}

fn report(manifest: &Manifest, style: Style) -> Result<(), Failure> {
    if style.json {
        return print_json(manifest);
    }
    if style.quiet {
        return Ok(());
    }
    let output = &manifest.output;
    let mut text = format!("{}: composite of {}", output.file, count(output.packets, "packet"));
    text += &format!(", {} of them malicious", output.malicious);
    if let Some(first) = output.first_malicious_index {
        text += &format!(", the first at index {first}");
    }
    text += &format!("\n  benign  {}\n", part(&manifest.benign));
    for attack in &manifest.attacks {
        text += &format!("  attack  {}\n", describe(attack));
    }
    tell(&text)
}

fn part(part: &legonf_datasets::compose::Part) -> String {
    let left_out: Vec<_> = part.left_out.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
    let reasons =
        if left_out.is_empty() { String::new() } else { format!(", left out: {}", left_out.join(", ")) };
    format!("{}: {} of {}{reasons}", part.file, part.written, count(part.received, "packet"))
}

fn describe(attack: &AttackPart) -> String {
    let mut text = format!("{}; from second {:.3}", part(&attack.part), attack.start_seconds);
    if let Some(first) = attack.hosts.first() {
        let more = attack.hosts.len() - 1;
        text += &format!("; {} became {} and {more} more became hosts", first.from, first.to);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_are_read_with_their_options() {
        let Part(attack) = "a.pcap,start=60,labels=l.csv,speed=2.5,thin=10".parse().unwrap();
        let input = Input { path: "a.pcap".into(), labels: Some("l.csv".into()) };
        assert_eq!(attack, Attack { input, start: Some(60.0), speed: 2.5, thin: 10 });
        assert_eq!("a.pcap".parse::<Part>().unwrap(), Part(Attack::new("a.pcap")));
        for (text, expected) in [
            ("a.pcap,strat=3", "'strat=3': expected labels=FILE, start=SECONDS, speed=FACTOR or thin=N"),
            ("a.pcap,b", "'b': expected"),
            ("a.pcap,start=x", "start = 'x': expected a number"),
        ] {
            let error = text.parse::<Part>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
