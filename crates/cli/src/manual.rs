//! `completions` and `man`: made from what may be typed.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::arguments::Arguments;
use crate::failure::Outcome;
use crate::say::say_bytes;

pub(crate) fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "countersign", &mut script);
    say_bytes(&script);
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(folder: Option<&Path>) -> Outcome {
    match folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            clap_mangen::generate_to(Arguments::command(), folder)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
            say_bytes(&page);
        }
    }
    Ok(ExitCode::SUCCESS)
}
