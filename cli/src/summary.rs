//! What a run found, in words.

pub mod clock;
pub mod tables;
pub mod width;

use legonf_core::count;
use legonf_decide::IncidentCounts;
use legonf_decide::evaluate::{BenignShare, Figures, Promise, Report as Evaluation, SpanReport};
use legonf_engine::{
    Disturbances, FlowCounts, IncidentSummary, Service, StandbyReport, Summary, Timing, WarmingUp,
};
use legonf_output::one_line;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// Lines of text on what there was; nothing where all went on undisturbed.
pub fn service(service: &Service) -> String {
    let mut text = String::new();
    if service.interface_down > 0 {
        text += &format!("interface   went down {} times, and the run went on\n", service.interface_down);
    }
    if !service.sent.is_empty() {
        let sent: Vec<_> = service.sent.iter().map(|(port, sent)| format!("{port} {sent}")).collect();
        text += &format!("sent        {}\n", sent.join(", "));
    }
    if service.unsent_copies > 0 {
        let copies = count(service.unsent_copies, "mirrored packet");
        text += &format!("lost        {copies} that could not leave\n");
    }
    for (output, reason) in &service.trouble {
        let lost = service.lost.get(output).copied().unwrap_or(0);
        text += &format!("lost        {lost} of --{output}: {reason}\n");
    }
    text
}

/// Lines of text on a hot standby, and what became of it.
pub fn standby(report: &StandbyReport) -> String {
    match report {
        StandbyReport::Primary { accepted, lost: None } => {
            format!("standby     has had {} before use\n", count(*accepted, "packet"))
        }
        StandbyReport::Primary { accepted, lost: Some(reason) } => {
            format!("standby     lost after {}: {reason}\n", count(*accepted, "packet"))
        }
        StandbyReport::Standby { accepted, takeover_ms: None, .. } => {
            format!("primary     has given {}\n", count(*accepted, "packet"))
        }
        StandbyReport::Standby { accepted, takeover_ms: Some(milliseconds), .. } => {
            let packets = count(*accepted, "packet");
            format!("primary     lost after {packets}; own packets {milliseconds:.1} ms later\n")
        }
    }
}

/// Lines of text on what there was; nothing where all went on undisturbed.
pub fn disturbances(disturbances: &Disturbances) -> String {
    let mut text = String::new();
    if disturbances.restarts > 0 {
        let panics = count(disturbances.restarts, "panic");
        text += &format!("restarts    {panics} of bricks, each of which was made anew; please report this\n");
    }
    if disturbances.losses > 0 {
        let lost = count(disturbances.losses, "brick");
        let longest = disturbances.recovery_ms_max;
        text += &format!(
            "losses      {lost} lost with a process or a host, and back within {longest:.1} ms at most\n"
        );
    }
    if disturbances.moved_slots > 0 {
        text += &disturbances.pauses();
    }
    text
}

/// The summary as lines of text.
pub fn text(summary: &Summary, timing: Timing) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(out, "capture     {}", one_line(&summary.capture))?;
    let filtered = summary.filtered.as_ref().map(|filtered| filtered.packets);
    out += &crate::inputs::filtered_out(filtered);
    let precision = summary.precision.iter().map(|p| format!(", network in {p}")).collect::<String>();
    let schema =
        if summary.schema.is_empty() { String::new() } else { format!(" ({}{precision})", summary.schema) };
    writeln!(out, "model       {}{schema}", one_line(&summary.model))?;
    for swapped in &summary.swaps {
        writeln!(out, "            from packet {} on {}", swapped.seq, one_line(&swapped.model))?;
    }
    let rate = timing.packets_per_second;
    writeln!(
        out,
        "packets     {} in {:.3} s, {rate:.0} packets/s",
        summary.coverage.received, timing.seconds
    )?;
    writeln!(out, "coverage    {}", summary.coverage)?;
    out.extend(summary.clock.iter().map(clock::text));
    if summary.decides_on_scores {
        write_scores(summary, &mut out)?;
        out.extend(summary.warming_up.map(|warming_up| unjudged(warming_up, summary.coverage.scored)));
        write_alerts(summary, &mut out)?;
    }
    if let Some(misfit) = &summary.misfit {
        writeln!(out, "warning     {misfit}")?;
    }
    write_classes(&summary.classes, &mut out)?;
    if let Some(FlowCounts { rows, open_at_end, classes }) = &summary.flows {
        let open =
            if *open_at_end > 0 { format!(", {open_at_end} of them open at the end") } else { String::new() };
        writeln!(out, "flows       {rows}{open}")?;
        write_classes(classes, &mut out)?;
    }
    if let Some(evaluation) = &summary.evaluation {
        write_evaluation(&mut out, evaluation)?;
    }
    if let Some(figures) = &summary.figures {
        write_figures(&mut out, figures)?;
    }
    if let Some(promise) = &summary.promise {
        writeln!(out, "bound       {}", promised(promise))?;
    }
    if !summary.counters.is_empty() {
        let list: Vec<_> = summary.counters.iter().map(|(k, v)| format!("{k} {v}")).collect();
        writeln!(out, "counters    {}", list.join(", "))?;
    }
    if let Some(found) = &summary.incidents {
        write_incidents(&mut out, found)?;
    }
    Ok(out)
}

/// A line for each column of verdicts.
fn write_classes(columns: &BTreeMap<String, BTreeMap<String, u64>>, out: &mut String) -> fmt::Result {
    columns.iter().try_for_each(|(column, classes)| {
        let list: Vec<_> =
            classes.iter().map(|(label, rows)| format!("{} {rows}", one_line(label))).collect();
        writeln!(out, "{:<11} {}", one_line(column), list.join(", "))
    })
}

/// The words on packets that were not judged; none where there were none.
fn unjudged(WarmingUp { packets, seconds }: WarmingUp, scored: u64) -> String {
    let all = packets == scored && packets > 0;
    let remedy =
        "; that is all: --state or --warm-up FILE brings statistics along, --no-warm-up judges without";
    match packets {
        0 => String::new(),
        _ => format!(
            "warming up  {} of the first {seconds} s, scored but not judged{}\n",
            count(packets, "packet"),
            if all { remedy } else { "" }
        ),
    }
}

fn write_alerts(summary: &Summary, out: &mut String) -> fmt::Result {
    let Some(threshold) = summary.threshold else {
        return writeln!(out, "alerts      none: the model has no threshold (`legonf calibrate` sets one)");
    };
    let left_out = left_out(summary);
    writeln!(out, "alerts      {} above the threshold of {threshold:.6}{left_out}", summary.alerts)
}

/// The words on alerts that were not written.
fn left_out(summary: &Summary) -> String {
    let mut text = String::new();
    if let (Some(written), Some(held_back @ 1..)) = (summary.alerts_written, summary.alerts_held_back) {
        text += &format!("; {written} of them written, {held_back} held back (--alerts)");
    }
    if let Some(suppressed) = summary.alerts_suppressed {
        text += &format!("; {suppressed} suppressed (--suppress)");
    }
    text
}

/// Who it was: the incidents of most weight, a line each.
fn write_incidents(out: &mut String, found: &IncidentSummary) -> fmt::Result {
    let IncidentCounts { closed, evicted, .. } = found.counts;
    if closed == 0 {
        return Ok(());
    }
    let evicted = match evicted {
        0 => String::new(),
        sources => format!(", {} ended early for want of room", count(sources, "source")),
    };
    let date = &found.top.first().map(|incident| incident.since.iso8601()).unwrap_or_default();
    let date = date.get(..10).unwrap_or_default();
    writeln!(out, "incidents   {closed}{evicted}; those of most weight (times in UTC, {date} on):")?;
    found.top.iter().try_for_each(|incident| writeln!(out, "  {}", one_line(&incident.to_string())))
}

fn write_figures(out: &mut String, figures: &SpanReport) -> fmt::Result {
    let each = [("10 s", &figures.windows), ("hosts", &figures.hosts), ("incidents", &figures.incidents)];
    for (what, Figures { confusion: c, .. }) in each {
        let (malicious, benign) =
            (c.true_positives + c.false_negatives, c.false_positives + c.true_negatives);
        writeln!(
            out,
            "  {what:<9} alerts in {} of {malicious} malicious, {} of {benign} benign",
            c.true_positives, c.false_positives
        )?;
    }
    let seconds = figures
        .seconds_to_first_alert
        .map(|seconds| format!("{seconds:.3} s after the first malicious packet"));
    writeln!(out, "  alert     {}", seconds.unwrap_or_else(|| "none on a malicious packet".into()))
}

fn write_scores(summary: &Summary, out: &mut String) -> fmt::Result {
    let Some(s) = &summary.score else { return writeln!(out, "RMSE        no packet was scored") };
    writeln!(
        out,
        "RMSE        mean {:.6}, p50 {:.6}, p90 {:.6}, p99 {:.6}, p99.9 {:.6}, max {:.6}",
        s.mean, s.p50, s.p90, s.p99, s.p999, s.max
    )
}

fn write_evaluation(out: &mut String, e: &Evaluation) -> fmt::Result {
    let percent =
        |rate: Option<f64>| rate.map_or_else(|| "undefined".to_owned(), |r| format!("{:.3}%", 100.0 * r));
    let auc = e.auc.map_or_else(|| "undefined".to_owned(), |a| format!("{a:.6}"));
    writeln!(out, "labels      AUC {auc}, TPR {}, FPR {}", percent(e.tpr), percent(e.fpr))?;
    if e.warming_up > 0 {
        let left_out = count(e.warming_up, "packet");
        writeln!(out, "            without the {left_out} that came while statistics warmed up")?;
    }
    let c = &e.confusion;
    writeln!(out, "            {:>12} {:>12}", "anomalous", "benign")?;
    writeln!(out, "  malicious {:>12} {:>12}", c.true_positives, c.false_negatives)?;
    writeln!(out, "  benign    {:>12} {:>12}", c.false_positives, c.true_negatives)
}

/// What the threshold stands for beside what the labels show, in a line.
fn promised(promise: &Promise) -> String {
    let share = |share: BenignShare, contradicted| {
        let word = if contradicted { ", which contradicts it" } else { "" };
        format!("{} of {} ({:.3}%{word})", share.above, share.packets, 100.0 * share.rate())
    };
    let mut line = format!(
        "false positives at most {:.4}% by the model; before the first malicious packet {}",
        100.0 * promise.false_positive_bound,
        share(promise.before_attack, promise.contradicted_before)
    );
    if promise.since_attack.packets > 0 {
        line += &format!(", from it on {}", share(promise.since_attack, promise.contradicted_since));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Clock;
    use legonf_runtime::{Losses, Outcome, Pauses};
    use std::time::Duration;

    fn outcome(restarts: u64, pauses: Pauses) -> Outcome {
        let (counters, clock) = (Vec::new(), Clock::default());
        let losses = Losses::default();
        Outcome { packets: 9, counters, restarts, losses, pauses, clock, stopped: false, fault: None }
    }

    #[test]
    fn a_bound_that_the_labels_contradict_is_said_to_be() {
        let share = |packets, above| BenignShare { packets, above };
        let promise = Promise {
            false_positive_bound: 0.001,
            before_attack: share(50_000, 29),
            since_attack: share(16_000, 4_000),
            contradicted_before: false,
            contradicted_since: true,
        };
        let line = "false positives at most 0.1000% by the model; before the first malicious packet 29 of 50000 (0.058%), \
                    from it on 4000 of 16000 (25.000%, which contradicts it)";
        assert_eq!(promised(&promise), line);
        let quiet = Promise { since_attack: share(0, 0), contradicted_since: false, ..promise };
        assert!(promised(&quiet).ends_with("29 of 50000 (0.058%)"));
    }

    #[test]
    fn packets_that_were_not_judged_are_told_of() {
        let line = |packets, scored| unjudged(WarmingUp { packets, seconds: 400.0 }, scored);
        assert_eq!(line(0, 9), "");
        assert_eq!(line(7, 9), "warming up  7 packets of the first 400 s, scored but not judged\n");
        assert!(line(9, 9).contains("that is all: --state or --warm-up FILE"));
    }

    #[test]
    fn only_what_happened_is_told() {
        assert_eq!(disturbances(&Disturbances::of(&outcome(0, Pauses::default()))), "");
        let restarted = disturbances(&Disturbances::of(&outcome(2, Pauses::default())));
        assert!(restarted.starts_with("restarts    2 panics of bricks") && restarted.lines().count() == 1);
        let losses = Losses { count: 1, longest: Duration::from_micros(1500), ..Losses::default() };
        let lost = disturbances(&Disturbances::of(&Outcome { losses, ..outcome(0, Pauses::default()) }));
        assert_eq!(
            lost,
            "losses      1 brick lost with a process or a host, and back within 1.5 ms at most\n"
        );
        let (p99, longest) = (Duration::from_micros(1500), Duration::from_micros(2250));
        let pauses = Pauses { slots: 4096, bytes: 1 << 20, packets: 77, p99, longest };
        let moved = Disturbances::of(&outcome(0, pauses));
        let line = "pauses      4096 slots moved, for which 77 packets waited: 1.50 ms for 99 of 100, 2.25 ms at most\n";
        assert_eq!(disturbances(&moved), line);
        let json = serde_json::to_value(moved).unwrap();
        assert_eq!((&json["restarts"], &json["paused_packets"]), (&0.into(), &77.into()));
        assert_eq!(json["moved_bytes"], 1 << 20);
        assert_eq!((&json["pause_ms_p99"], &json["pause_ms_max"]), (&1.5.into(), &2.25.into()));
    }
}
