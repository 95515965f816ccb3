//! The unchanged lines around those that a proposal changes.

use crate::domain::lines::{Blobs, File, FileLines, LinesError, Op};

/// How many unchanged lines stand on either side of a change.
const AROUND: u64 = 3;

/// What stands beside numbered lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// A line of the base that stays as it is. Bytes that are no UTF-8 are replaced.
    Line(String),
    /// Lines that are left out.
    Gap,
}

/// The unchanged lines around the numbers of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// What stands above each number, in their order.
    pub above: Vec<Vec<Beside>>,
    /// What stands below the last.
    pub below: Vec<Beside>,
}

impl Surroundings {
    /// Those of a file whose base is `base`. Only text that stays a text has any.
    ///
    /// # Errors
    /// When content is missing.
    pub fn of(file: &FileLines, base: Option<&File>, blobs: &dyn Blobs) -> Result<Self, LinesError> {
        let bytes = match base.filter(|_| file.ops.iter().any(Op::is_text)) {
            Some(base) => blobs.blob(&base.oid)?,
            None => Default::default(),
        };
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        Ok(around(file, &lines))
    }
}

/// Operations stand in the order of base lines, so that what is between two of them is between no others.
fn around(file: &FileLines, base: &[&[u8]]) -> Surroundings {
    let mut found = Surroundings::default();
    // The base line after the operation before, once there is one.
    let mut after: Option<u64> = None;
    for (_, op) in file.numbered() {
        let mut above = Vec::new();
        if let Some((at, end)) = place(op) {
            match after {
                Some(after) if at > after + 2 * AROUND + 1 => {
                    stay(base, after, after + AROUND, &mut above);
                    above.push(Beside::Gap);
                    stay(base, at - AROUND, at, &mut above);
                }
                Some(after) => stay(base, after, at, &mut above),
                None => stay(base, at.saturating_sub(AROUND), at, &mut above),
            }
            after = Some(end);
        }
        found.above.push(above);
        // All its other numbers follow without anything between.
        found.above.extend((1..op.numbers()).map(|_| Vec::new()));
    }
    if let Some(after) = after {
        stay(base, after, after + AROUND, &mut found.below);
    }
    found
}

/// The base line where an operation on lines stands, and the one after it.
fn place(op: &Op) -> Option<(u64, u64)> {
    match *op {
        Op::Add { at, .. } => Some((at, at)),
        Op::Remove { at, n } | Op::Mutate { at, n, .. } | Op::Move { at, n, .. } => Some((at, at + n)),
        _ => None,
    }
}

/// Adds the base lines from `first`, or the first there is, to before `end`, or the last there is.
fn stay(base: &[&[u8]], first: u64, end: u64, to: &mut Vec<Beside>) {
    for line in first.max(1)..end.min(base.len() as u64 + 1) {
        let at = usize::try_from(line - 1).unwrap_or(usize::MAX);
        let text = base.get(at).map_or(&[][..], |text| text.strip_suffix(b"\n").unwrap_or(text));
        to.push(Beside::Line(String::from_utf8_lossy(text).into_owned()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::fact::values::GitPath;
    use crate::domain::ids::Oid;
    use crate::domain::lines::{Files, Mode, diff};

    /// A row for every number, as `#`, and every line beside it.
    fn rows(before: &str, after: &str) -> Vec<String> {
        let ids = [Oid::Sha1([1; 20]), Oid::Sha1([2; 20])];
        let blobs: BTreeMap<Oid, Vec<u8>> = [(ids[0], before.into()), (ids[1], after.into())].into();
        let files = |oid| -> Files { [(GitPath::new("f"), File { mode: Mode::File, oid })].into() };
        let table = diff(&files(ids[0]), &files(ids[1]), &blobs).unwrap();
        let Some(file) = table.files().first() else { return Vec::new() };
        let base = File { mode: Mode::File, oid: ids[0] };
        let found = Surroundings::of(file, Some(&base), &blobs).unwrap();
        assert_eq!(found.above.len() as u64, file.count());
        let shown = |beside: &Beside| match beside {
            Beside::Line(text) => text.clone(),
            Beside::Gap => "...".into(),
        };
        let above = found.above.iter().flat_map(|above| above.iter().map(shown).chain(["#".to_owned()]));
        above.chain(found.below.iter().map(shown)).collect()
    }

    fn numbers(changed: &[u32], count: u32) -> String {
        (1..=count).map(|n| format!("{n}{}\n", if changed.contains(&n) { "!" } else { "" })).collect()
    }

    #[test]
    fn three_lines_stand_on_either_side_and_a_gap_where_more_are_left_out() {
        let rows = |changed: &[u32]| rows(&numbers(&[], 20), &numbers(changed, 20)).join(" ");
        assert_eq!(rows(&[9]), "6 7 8 # 10 11 12");
        assert_eq!(rows(&[1, 2, 20]), "# # 3 4 5 ... 17 18 19 #");
        assert_eq!(rows(&[5, 12]), "2 3 4 # 6 7 8 9 10 11 # 13 14 15");
        assert_eq!(rows(&[5, 13]), "2 3 4 # 6 7 8 9 10 11 12 # 14 15 16");
        assert_eq!(rows(&[5, 14]), "2 3 4 # 6 7 8 ... 11 12 13 # 15 16 17");
    }

    #[test]
    fn what_is_added_removed_or_new_stands_where_it_is() {
        assert_eq!(rows("a\nb\nc\n", "a\nnew\nb\nc\n"), ["a", "#", "b", "c"]);
        assert_eq!(rows("a\nb\nc", "a\nc"), ["a", "#", "c"]);
        assert_eq!(rows("a\nb\n", "a\nb\nend\n"), ["a", "b", "#"]);
        assert_eq!(rows("a\0\n", "b\0\n"), ["#"]);
    }

    proptest! {
        #[test]
        fn no_line_that_changes_stands_beside_one_and_none_twice(
            before in prop::collection::vec("[a-f]", 0..40),
            after in prop::collection::vec("[a-f]", 0..40),
        ) {
            // Each line of the base is told from all others.
            let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let before: Vec<String> = before.iter().enumerate().map(|(n, line)| format!("{line}{n}")).collect();
            let mut kept: Vec<String> = before.iter().filter(|line| !after.contains(&line[..1].to_owned())).cloned().collect();
            kept.extend(after);
            let shown = rows(&text(&before), &text(&kept));
            let beside: Vec<&String> = shown.iter().filter(|row| *row != "#" && *row != "...").collect();
            let mut order = beside.iter().map(|row| before.iter().position(|line| *line == **row).unwrap());
            let mut last = None;
            prop_assert!(order.all(|at| last.replace(at).is_none_or(|last| last < at)), "{shown:?}");
            prop_assert!(beside.iter().all(|row| kept.contains(row)), "{shown:?}");
        }
    }
}
