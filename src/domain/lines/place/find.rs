//! The only place where some lines stand.

use std::collections::HashMap;

/// How many lines an index entry has.
const GRAM: usize = 4;
/// How many places are compared in full for one search. With more candidates than this a place counts as one of
/// several, whatever the comparison would say: honest files are far from it, and time stays linear.
const CANDIDATES: usize = 1024;

/// Numbers for lines, equal for equal bytes.
#[derive(Default)]
pub(super) struct Interner<'a> {
    known: HashMap<&'a [u8], u32>,
}

impl<'a> Interner<'a> {
    pub(super) fn ids(&mut self, lines: impl Iterator<Item = &'a [u8]>) -> Vec<u32> {
        lines
            .map(|line| {
                let next = self.known.len() as u32;
                *self.known.entry(line).or_insert(next)
            })
            .collect()
    }
}

/// How often something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nowhere,
    /// Before which line it begins, counted from 0.
    Once(usize),
    Often,
}

/// The lines of a file, indexed for searches.
pub(super) struct Finder {
    lines: Vec<u32>,
    grams: HashMap<[u32; GRAM], Vec<usize>>,
    singles: HashMap<u32, Vec<usize>>,
}

impl Finder {
    pub(super) fn of(lines: Vec<u32>) -> Self {
        let mut grams: HashMap<[u32; GRAM], Vec<usize>> = HashMap::new();
        let mut singles: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            let places = singles.entry(*line).or_default();
            if places.len() <= CANDIDATES {
                places.push(at);
            }
        }
        for (at, window) in lines.windows(GRAM).enumerate() {
            let window: [u32; GRAM] = window.try_into().expect("windows have the length asked for");
            let places = grams.entry(window).or_default();
            if places.len() <= CANDIDATES {
                places.push(at);
            }
        }
        Finder { lines, grams, singles }
    }

    pub(super) fn lines(&self) -> &[u32] {
        &self.lines
    }

    /// Where `pattern` stands. The empty pattern stands before every line and behind the last.
    pub(super) fn find(&self, pattern: &[u32]) -> Found {
        if pattern.is_empty() {
            return if self.lines.is_empty() { Found::Once(0) } else { Found::Often };
        }
        let mut rarest: Option<(usize, &Vec<usize>)> = None;
        let parts = if pattern.len() < GRAM { pattern.len() } else { pattern.len() - GRAM + 1 };
        for offset in 0..parts {
            let places = if pattern.len() < GRAM {
                self.singles.get(&pattern[offset])
            } else {
                let window: [u32; GRAM] =
                    pattern[offset..offset + GRAM].try_into().expect("slices have the length asked for");
                self.grams.get(&window)
            };
            let Some(places) = places else { return Found::Nowhere };
            if rarest.is_none_or(|(_, fewest)| places.len() < fewest.len()) {
                rarest = Some((offset, places));
            }
        }
        let Some((offset, places)) = rarest else { return Found::Nowhere };
        if places.len() > CANDIDATES {
            return Found::Often;
        }
        let mut found = Found::Nowhere;
        for place in places {
            let Some(start) = place.checked_sub(offset) else { continue };
            if self.lines.get(start..start + pattern.len()) != Some(pattern) {
                continue;
            }
            match found {
                Found::Nowhere => found = Found::Once(start),
                _ => return Found::Often,
            }
        }
        found
    }
}
