use legonf_core::{Incident, Origin, Timestamp, Verdict};
use legonf_io::sink::{HostStrips, ScorePlot, Strip, Theme};
use std::fs;

/// A capture with an attack in its second half.
fn plot(packets: u32, labels: bool) -> ScorePlot {
    let mut plot = ScorePlot::new("Kitsune on a test", 1.5);
    for i in 0..packets {
        let attack = i > packets / 2 && i % 3 == 0;
        let score = if attack { 5.0 + f64::from(i % 17) } else { 0.05 + f64::from(i % 7) / 50.0 };
        let verdict = if attack { Verdict::ANOMALOUS } else { Verdict::BENIGN };
        plot.add(
            Timestamp::new(1_540_448_619 + i64::from(i / 10), i % 10),
            score,
            verdict,
            labels.then_some(attack),
        );
    }
    plot
}

fn svg(plot: &ScorePlot) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scores.svg");
    plot.write_svg(&path).unwrap();
    fs::read_to_string(path).unwrap()
}

fn png(plot: &ScorePlot) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scores.png");
    plot.write_png(&path).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn svg_says_what_it_shows() {
    let svg = svg(&plot(5_000, true));
    for text in [
        "Kitsune on a test",
        "5,000 packets from 2018-10-25 06:23:39 UTC, 833 above the threshold",
        "time since the first packet (s)",
        "anomaly score",
        "threshold 1.500",
        "malicious by the labels",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(svg.starts_with("<svg width=\"1200\" height=\"600\""));
    assert!(svg.trim_end().ends_with("</svg>"));
    assert!(svg.len() < 1 << 20, "{} bytes", svg.len());
}

/// One packet of 2106 leaves the others where they were.
#[test]
fn a_wrong_time_stamp_is_left_out_of_the_axis() {
    let timed = |wrong: i64| {
        let mut plot = ScorePlot::new("t", 1.5);
        for i in 0..300 {
            let time = Timestamp::new(if i == 150 { wrong } else { 1_540_448_619 + i }, 0);
            plot.add(time, 0.5, Verdict::BENIGN, None);
        }
        svg(&plot)
    };
    let (right, wrong) = (timed(1_540_448_619 + 150), timed(4_294_967_295));
    assert!(wrong.contains(
        "300 packets from 2018-10-25 06:23:39 UTC, 0 above the threshold, 2 jumps and steps back of the clock left out"
    ));
    assert!(!right.contains("left out") && wrong.contains("time since the first packet (s)"));
    let bars = |svg: &str| svg.matches("<rect").count();
    assert!(bars(&right) > 300 && bars(&right) - bars(&wrong) <= 2, "{} {}", bars(&right), bars(&wrong));
}

#[test]
fn incidents_and_training_are_marked_and_the_ground_may_be_dark() {
    let source = Origin::Ip("192.168.50.21".parse().unwrap());
    let second = |second: i64| (1_540_448_619 + second) * 1_000_000_000;
    let incident = Incident { source, stream: (second(250), second(400)), ..Incident::default() };
    let filled = |mut plot: ScorePlot| {
        for i in 0..5_000 {
            plot.add(Timestamp::new(1_540_448_619 + i / 10, 0), 0.5, Verdict::BENIGN, None);
        }
        plot
    };
    let trained = ScorePlot::new("t", 1.5).trained_on(1_000);
    let mut marked = filled(trained.clone());
    let before = svg(&marked);
    assert!(before.contains("training") && before.contains("replay") && !before.contains("incidents"));
    assert!(!before.contains("calibration") && before.contains("height=\"600\""));
    let calibrated = svg(&filled(trained.clone().calibrated_on(1_000, 3_000)));
    assert!(["training", "calibration", "replay"].iter().all(|name| calibrated.contains(name)));
    // What never came is not shown.
    assert!(!svg(&filled(trained.calibrated_on(9_000, 9_999))).contains("calibration"));
    marked.mark(&[incident.clone(), incident]);
    let after = svg(&marked);
    assert!(after.contains("192.168.50.21") && after.contains("incidents") && after.contains("#7B3F98"));
    let dark = svg(&marked.on(Theme::Dark));
    assert!(
        dark.contains("#14171C") && !after.contains("fill=\"#14171C\"") && dark.contains("192.168.50.21")
    );
    assert!(!svg(&plot(500, false)).contains("training"));
}

#[test]
fn hosts_are_rows_under_the_scores() {
    let mut shown = plot(5_000, true);
    let alone = svg(&shown);
    let span = 64_000_000_000;
    let strip = |name: &str, shares: &[f32]| Strip { name: name.into(), shares: shares.into() };
    let hosts = vec![strip("192.168.50.21", &[0.0, 0.5, 1.0]), strip("2001:db8::1:2:3:4:5", &[0.0, 0.1])];
    shown.show(HostStrips { begin: 1_540_448_619_000_000_000, span, hosts });
    let (light, dark) = (svg(&shown), svg(&shown.clone().on(Theme::Dark)));
    for text in
        ["192.168.50.21", "::1:2:3:4:5", "packets that are above the threshold, of the hosts", "#7F2704"]
    {
        assert!(light.contains(text) && !alone.contains(text), "{text}");
    }
    assert!(light.starts_with("<svg width=\"1200\" height=\"674\""), "{}", &light[..60]);
    assert!(dark.contains("192.168.50.21") && !dark.contains("#7F2704"));
    assert!(png(&shown).starts_with(b"\x89PNG"));
}

#[test]
fn labels_are_shown_only_if_there_are_any() {
    assert!(!svg(&plot(500, false)).contains("labels"));
}

#[test]
fn two_runs_give_equal_bytes() {
    assert_eq!(svg(&plot(20_000, true)), svg(&plot(20_000, true)));
    assert_eq!(png(&plot(20_000, true)), png(&plot(20_000, true)));
}

#[test]
fn png_is_a_picture_of_its_size() {
    let bytes = png(&plot(5_000, true));
    let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1200, 600));
    let has = |color: [u8; 3]| pixels.chunks_exact(3).any(|p| p == color);
    assert!(has([217, 72, 1]) && has([255, 233, 196]) && has([23, 92, 160]), "alerts, truth, benign mean");
}

#[test]
fn odd_input_is_drawn() {
    let empty = ScorePlot::new("empty", f64::NAN);
    let mut odd = ScorePlot::new("odd", -1.0);
    for (nanos, score) in [(i64::MAX, 0.0), (i64::MIN, f64::NAN), (0, 1e308), (1, f64::INFINITY), (2, -5.0)] {
        for verdict in [Verdict::BENIGN, Verdict::ANOMALOUS, Verdict::REJECTED] {
            odd.add(Timestamp::from_nanos(nanos), score, verdict, None);
        }
    }
    let mut single = ScorePlot::new("one <packet> & more", 1e-320);
    single.add(Timestamp::new(1, 0), 1e-300, Verdict::BENIGN, Some(true));
    for plot in [empty, odd, single] {
        assert!(svg(&plot).contains("anomaly score"));
        assert!(png(&plot).starts_with(b"\x89PNG"));
    }
}

#[test]
fn faults_name_the_file() {
    let message = |r: Result<(), legonf_io::sink::SinkError>| r.unwrap_err().to_string();
    assert_eq!(
        message(plot(5, true).write_svg("/dev/full".as_ref())),
        "cannot write /dev/full: the disk is full"
    );
    assert_eq!(
        message(plot(5, true).write_png("/none/scores.png".as_ref()).map(|_| ())),
        "cannot create /none/scores.png: its folder does not exist"
    );
}
