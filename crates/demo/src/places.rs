//! Where everybody is: what each part of a scene is told in a folder of its own, and reads as a process of its own.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cast::Casting;
use crate::certificates::write;
use crate::failure::Failure;

const FILE: &str = "places.json";

/// Makes each part its folder in `folder`, and tells it the places.
pub(super) fn hand_out(folder: &Path, parts: &[&str], places: &impl Serialize) -> Result<(), Failure> {
    for part in parts {
        std::fs::create_dir_all(folder.join(part))?;
        write(&folder.join(part).join(FILE), &serde_json::to_string(places)?)?;
    }
    Ok(())
}

/// What this part was told.
pub(super) fn told<T: DeserializeOwned>(casting: &Casting) -> Result<T, Failure> {
    Ok(serde_json::from_slice(&std::fs::read(casting.folder.join(FILE))?)?)
}
