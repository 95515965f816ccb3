//! Rollbacks for people.

use super::Render;
use crate::cli::ui::{Text, safe};
use crate::commands::rollback::{Restored, RolledBack, Undone};

impl Render for RolledBack {
    fn render(&self, text: &mut Text) {
        // What scripts want stands alone; everything else is said on the other stream.
        if let Some(receipt) = &self.receipt {
            return text.line(receipt);
        }
        if let Some(undone) = &self.undone {
            taken(text, &self.of, undone);
        }
        if let Some(restored) = &self.restored {
            files(text, restored);
        }
    }

    fn patch(&self) -> Option<&[u8]> {
        self.patch.as_deref()
    }
}

fn taken(text: &mut Text, of: &str, undone: &Undone) {
    for one in &undone.taken {
        let lines = one.lines.as_ref().map(|lines| format!("lines {lines} in ")).unwrap_or_default();
        text.line(format!("would take back {lines}{} of {of}", &one.commit[..12]));
    }
    text.line(format!("tree {}", undone.to_tree));
}

fn files(text: &mut Text, restored: &Restored) {
    for file in &restored.files {
        text.line(format!("would go back: {}", safe(file)));
    }
    if restored.index && !restored.files.is_empty() {
        text.line("and the index with them");
    }
}
