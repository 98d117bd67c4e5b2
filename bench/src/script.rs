//! What wrk sends: requests from a list, in their order.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::Failure;

/// The name under which the gateway is asked; its `public_url`.
const HOST: &str = "orders.example";

/// How often each request of a list is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turns {
    /// Again and again.
    Endless,
    /// Once, for it is refused the second time; then wrk stops.
    Once,
}

/// A list of requests that is being written.
pub(crate) struct Script {
    file: PathBuf,
    list: PathBuf,
    lines: BufWriter<File>,
}

impl Script {
    /// An empty one, in files of this name.
    pub(crate) fn new(folder: &Path, name: &str) -> Result<Self, Failure> {
        let (file, list) = (folder.join(format!("{name}.lua")), folder.join(format!("{name}.list")));
        Ok(Self { file, lines: BufWriter::new(File::create(&list)?), list })
    }

    /// Adds a request. No part of it may hold a tab or a new line.
    pub(crate) fn add(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(), Failure> {
        write!(self.lines, "{method}\t{path}\t{body}")?;
        for (name, value) in headers {
            write!(self.lines, "\t{name}\t{value}")?;
        }
        Ok(writeln!(self.lines)?)
    }

    /// The script for wrk.
    pub(crate) fn finish(mut self, turns: Turns) -> Result<PathBuf, Failure> {
        self.lines.flush()?;
        let at_the_end = match turns {
            Turns::Endless => "if turn > #requests then turn = 1 end",
            Turns::Once => "if turn == #requests then wrk.thread:stop() end",
        };
        let text = format!(
            "local requests, turn = {{}}, 0\n\
             function init(args)\n\
             \x20 for line in io.lines(\"{}\") do\n\
             \x20   local parts = {{}}\n\
             \x20   for part in (line .. \"\\t\"):gmatch(\"(.-)\\t\") do parts[#parts + 1] = part end\n\
             \x20   local headers = {{ Host = \"{HOST}\" }}\n\
             \x20   for i = 4, #parts, 2 do headers[parts[i]] = parts[i + 1] end\n\
             \x20   local body = parts[3] ~= \"\" and parts[3] or nil\n\
             \x20   requests[#requests + 1] = wrk.format(parts[1], parts[2], headers, body)\n\
             \x20 end\n\
             end\n\
             function request()\n\
             \x20 turn = turn + 1\n\
             \x20 {at_the_end}\n\
             \x20 return requests[turn]\n\
             end\n\
             function done(summary)\n\
             \x20 print(string.format(\"measured %d %d\", summary.requests, summary.duration))\n\
             end\n",
            self.list.display(),
        );
        std::fs::write(&self.file, text)?;
        Ok(self.file)
    }
}
