//! A review on the whole terminal, which is put right again however it ends.

use std::io;
use std::mem::ManuallyDrop;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyEventKind};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::draw::{draw, fit};
use super::model::{Effect, Model};
use super::{Ended, HANG_UP, INTERRUPT};
use crate::child::{Interrupts, Waited, suspend};

/// Goes through the lines on the terminal.
///
/// # Errors
/// When the terminal cannot be drawn on or read from; it is put right then as well.
pub fn run(model: &mut Model, interrupts: &mut Interrupts, color: bool) -> io::Result<Ended> {
    // Whether to colour was decided already, by more than the variable that would be asked here.
    ratatui::crossterm::style::force_color_output(color);
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = execute!(io::stdout(), DisableBracketedPaste);
        earlier(panic);
    }));
    let ended = ratatui::try_init().and_then(|terminal| {
        execute!(io::stdout(), EnableBracketedPaste)?;
        // Not dropped: where its terminal is gone, dropping it panics.
        let mut terminal = ManuallyDrop::new(terminal);
        let ended = drive(&mut terminal, model, interrupts, color);
        let shown = terminal.show_cursor();
        match ended? {
            Ended::Interrupted(signal) => Ok(Ended::Interrupted(signal)),
            left => shown.map(|()| left),
        }
    });
    let restored = leave();
    let ended = ended?;
    // A terminal that hung up has nothing to put right.
    if !matches!(ended, Ended::Interrupted(_)) {
        restored?;
    }
    Ok(ended)
}

/// Puts the terminal right.
fn leave() -> io::Result<()> {
    let typed = execute!(io::stdout(), DisableBracketedPaste);
    ratatui::try_restore().and(typed)
}

/// Takes the terminal again after others had it, whatever they made of it.
fn come_back(terminal: &mut DefaultTerminal) -> io::Result<()> {
    // It is taken for raw as long as nobody says that it is not.
    disable_raw_mode()?;
    enable_raw_mode()?;
    // Not cleared by `terminal`, which would ask where the cursor is and wait for the answer.
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Clear(ClearType::All))?;
    // What was drawn last is forgotten, so that all of it is drawn again.
    terminal.swap_buffers();
    Ok(())
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
            Waited::Continued => come_back(terminal)?,
            Waited::Interrupted(signal) => return Ok(Ended::Interrupted(signal)),
            Waited::HungUp => return Ok(Ended::Interrupted(HANG_UP)),
        }
        // Everything that was typed ahead is dealt with before anything is drawn.
        while event::poll(Duration::ZERO)? {
            let effect = match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => model.press(key),
                Event::Paste(text) => {
                    model.paste(&text);
                    Effect::None
                }
                _ => Effect::None,
            };
            match effect {
                Effect::None => {}
                Effect::Leave(leaving) => return Ok(Ended::Left(leaving)),
                Effect::Interrupt => return Ok(Ended::Interrupted(INTERRUPT)),
                Effect::Suspend => {
                    terminal.show_cursor()?;
                    leave()?;
                    suspend()?;
                    come_back(terminal)?;
                }
            }
        }
    }
}
