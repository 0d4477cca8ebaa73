//! Instructions a packet, counted by valgrind's callgrind: the same number whatever else the machine does.

use super::Arguments;
use crate::failure::Failure;
use std::process::Command;

/// Packets of the longer of the two runs that are compared.
const PACKETS: u64 = 20_000;

/// The difference between replaying all and half of the packets, so that loading and setting up count for nothing.
pub fn per_packet(arguments: &Arguments, packets: u64) -> Result<f64, Failure> {
    let all = packets.min(PACKETS);
    let half = all / 2;
    if half == 0 {
        return Err(Failure::fault("--instructions needs two packets at least"));
    }
    let counted = count(arguments, all)?.saturating_sub(count(arguments, half)?);
    Ok(counted as f64 / (all - half) as f64)
}

fn count(arguments: &Arguments, packets: u64) -> Result<u64, Failure> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    command.arg("replay").arg(&arguments.capture).arg("--model").arg(&arguments.model);
    command.args(["--quiet", "--workers", "monolithic", "--limit", &packets.to_string()]);
    if let Some(arithmetic) = arguments.arithmetic {
        command.args(["--arithmetic", &arithmetic.to_string()]);
    }
    if let Some(precision) = arguments.execution.precision {
        command.args(["--precision", &precision.to_string()]);
    }
    let output = command
        .output()
        .map_err(|e| Failure::fault(format!("valgrind: {e}; install it or leave --instructions out")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    collected.ok_or_else(|| {
        Failure::fault(format!("valgrind counted nothing: {}", said.lines().last().unwrap_or_default()))
    })
}
