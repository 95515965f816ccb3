//! Planted secrets in surroundings that look real, and how many of them are found.
//!
//! Nothing here is a secret: values come out of a seeded generator when the test runs, and what tells their
//! kind is written down in two halves, so that no scanner takes these files for a leak. The kinds and their
//! shapes follow what the providers publish, the surroundings what the tools print; neither was derived from
//! the rules.

mod places;
mod secrets;

/// A generator of the same numbers for the same seed.
pub(super) struct Dice(u64);

pub(super) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub(super) const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(super) const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
pub(super) const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
pub(super) const HEX: &str = "0123456789abcdef";
pub(super) const DIGITS: &str = "0123456789";
pub(super) const URL64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
pub(super) const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub(super) fn below(&mut self, most: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 16) as usize % most
    }

    pub(super) fn text(&mut self, len: usize, alphabet: &str) -> String {
        let letters = alphabet.as_bytes();
        (0..len).map(|_| char::from(letters[self.below(letters.len())])).collect()
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// A secret of some kind, and what of it must not be left.
pub(crate) struct Secret {
    pub text: String,
    /// The parts that nobody could guess, without prefixes that only tell the kind.
    pub cores: Vec<String>,
}

/// A text with a secret in it.
pub(crate) struct Planted {
    pub kind: &'static str,
    pub place: &'static str,
    pub dress: &'static str,
    pub text: String,
    pub secret: Secret,
}

/// What is not found, and why: place and dress, where an empty dress stands for every one.
const KNOWN_MISSES: &[(&str, &str)] = &[
    // An argument without a name: only the function's says what it is.
    ("call by position", ""),
    ("C#, by position", ""),
    // Two lines after the name, with something in front of every line.
    ("multipart", "numbered lines"),
    ("multipart", "added lines"),
    ("multipart", "indented"),
    ("multipart", "quoted"),
    ("multipart", "container log"),
    // `password value` is no assignment anywhere else, and here neither leads the line nor follows `login`.
    (".netrc", "container log"),
];

/// So many bytes in a row are a leak.
const LEAK: usize = 8;

impl Planted {
    pub fn is_known_miss(&self) -> bool {
        KNOWN_MISSES
            .iter()
            .any(|&(place, dress)| place == self.place && (dress.is_empty() || dress == self.dress))
    }

    /// What of the secret is left in `out`.
    pub fn left(&self, out: &str) -> Option<String> {
        self.secret.cores.iter().find_map(|core| {
            let size = LEAK.min(core.len());
            (0..=core.len() - size)
                .map(|at| &core[at..at + size])
                .find(|part| out.contains(part))
                .map(str::to_owned)
        })
    }
}

/// Every kind of secret in every place that suits it, in every dress.
pub(crate) fn corpus() -> Vec<Planted> {
    let mut planted = Vec::new();
    let mut seed = 0;
    for (kind, make, places) in secrets::kinds() {
        for &(place, template) in places {
            for &(dress, put_on) in places::DRESSES {
                seed += 1;
                let mut dice = Dice::new(seed);
                let secret = make(&mut dice);
                let Some(text) = put_on(&places::fill(template, &secret.text, &mut dice), &secret, &mut dice)
                else {
                    continue;
                };
                planted.push(Planted { kind, place, dress, text, secret });
            }
        }
    }
    planted
}

/// Every `step`-th text, without those whose secret is known to be missed, and the parts of its secret that nobody
/// could guess.
pub(crate) fn sample(step: usize) -> Vec<(String, Vec<String>)> {
    let found = corpus().into_iter().filter(|planted| !planted.is_known_miss());
    found.step_by(step).map(|planted| (planted.text, planted.secret.cores)).collect()
}
