//! What the two sides of a join say to each other, and the token.

use legonf_transport::join::{Admission, JoinError, Joining, Refusal, Terms, Token};
use legonf_transport::tls;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

const SECRET: [u8; 32] = [1; 32];
const HOUR: Duration = Duration::from_secs(3_600);

/// What is before the point in the information on a public key of the curve P-256.
const CURVE: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3,
    0x42, 0,
];

fn admission() -> Admission {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("legonf-fuzz-join-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("room");
        let files = tls::create("a", &[], SystemTime::now(), 24 * HOUR).expect("it is a name");
        files.into_iter().for_each(|pem| fs::write(folder.join(pem.file), pem.text).expect("room"));
        folder
    });
    let terms = Terms { until: SystemTime::now() + HOUR, names: Vec::new(), valid: HOUR };
    Admission::new(folder, terms, SECRET).expect("the authority is there")
}

fn key() -> Vec<u8> {
    [&CURVE[..], &[4], &[7; 64]].concat()
}

/// Lets bytes be a request, an answer, or a token, by the first of them.
pub fn join(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let admission = admission();
    let now = SystemTime::now();
    match kind {
        0 => {
            let answered = admission.answer(data, Some(&key()), now).expect("an answer fits a message");
            let Ok(name) = answered.outcome else { return };
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')), "{name}");
            let again = admission.answer(data, Some(&key()), now).expect("an answer fits a message").outcome;
            assert!(matches!(again, Err(JoinError::Refused(Refusal::Taken))), "a name is given once");
        }
        1 => {
            let joining = Joining::new("b", admission.token().clone()).expect("it is a name");
            assert!(joining.take(data, now).is_err(), "nobody has the key of this host");
        }
        _ => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            let Ok(token) = text.parse::<Token>() else { return };
            assert_eq!(token.text(), text.trim());
        }
    }
}

/// A request, an answer to it, and a token.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let admission = admission();
    let request = [&[1][..], &SECRET, &[1, b'b']].concat();
    let answer = admission.answer(&request, Some(&key()), SystemTime::now()).expect("an answer fits a message");
    assert!(answer.outcome.is_ok_and(|name| name == "b"), "the seed is a request");
    let of = |kind, bytes: &[u8]| [&[kind], bytes].concat();
    vec![of(0, &request), of(1, &answer.bytes), of(2, admission.token().text().as_bytes())]
}
