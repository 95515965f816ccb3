//! A review on the whole terminal, which is put right again however it ends.

use std::io;
use std::mem::ManuallyDrop;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::draw::{draw, fit};
use super::model::{Effect, Model};
use super::{Ended, HANG_UP, INTERRUPT};
use crate::child::{Interrupts, Waited};

/// Goes through the lines on the terminal.
///
/// # Errors
/// When the terminal cannot be drawn on or read from; it is put right then as well.
pub fn run(model: &mut Model, interrupts: &mut Interrupts, color: bool) -> io::Result<Ended> {
    // Whether to colour was decided already, by more than the variable that would be asked here.
    ratatui::crossterm::style::force_color_output(color);
    let ended = ratatui::try_init().and_then(|terminal| {
        // Not dropped: where its terminal is gone, dropping it panics.
        let mut terminal = ManuallyDrop::new(terminal);
        let ended = drive(&mut terminal, model, interrupts, color);
        let shown = terminal.show_cursor();
        match ended? {
            Ended::Interrupted(signal) => Ok(Ended::Interrupted(signal)),
            left => shown.map(|()| left),
        }
    });
    let restored = ratatui::try_restore();
    let ended = ended?;
    // A terminal that hung up has nothing to put right.
    if !matches!(ended, Ended::Interrupted(_)) {
        restored?;
    }
    Ok(ended)
}

fn drive(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    interrupts: &mut Interrupts,
    color: bool,
) -> io::Result<Ended> {
    loop {
        terminal.autoresize()?;
        fit(model, terminal.get_frame().area());
        terminal.draw(|frame| draw(frame, model, color))?;
        // Asked before the terminal is read: one that is gone would be read from without end.
        match interrupts.wait()? {
            Waited::Input | Waited::Told => {}
            Waited::Interrupted(signal) => return Ok(Ended::Interrupted(signal)),
            Waited::HungUp => return Ok(Ended::Interrupted(HANG_UP)),
        }
        // Everything that was typed ahead is dealt with before anything is drawn.
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
            {
                match model.press(key) {
                    Effect::None => {}
                    Effect::Leave(leaving) => return Ok(Ended::Left(leaving)),
                    Effect::Interrupt => return Ok(Ended::Interrupted(INTERRUPT)),
                }
            }
        }
    }
}
