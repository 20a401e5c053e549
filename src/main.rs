//! The map of the program: applet name -> command -> run. The only place that
//! prints an error and picks an exit code.

use rc_kexec::cli::{self, Command};
use rc_kexec::failure::{Answer, Failure};
use rc_kexec::running_kernel::allocator::Forward;
use rc_kexec::running_kernel::files;
use rc_kexec::{doctor, exec, going_down, load, status};
use std::ffi::OsString;
use std::process::ExitCode;

#[global_allocator]
static MEMORY: Forward = Forward::new();

fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let (applet, command) = cli::parse(&argv);
    match command.and_then(run) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            files::complain(format_args!("{applet}: {failure}\n"));
            ExitCode::from(failure.exit_status())
        }
    }
}

fn run(command: Command) -> Answer<u8> {
    match command {
        Command::Load(request) => load::run(&request).map(|()| 0),
        Command::Unload => load::unload().map(|()| 0),
        Command::Status(request) => status::run(request),
        Command::Exec(request) => Err(exec::run(&request)),
        Command::GoingDown(errand) => going_down::run(errand),
        Command::Doctor(request) => Ok(doctor::run(&request)),
        Command::Print(text) => {
            files::print(format_args!("{}\n", text.trim_ascii_end()));
            Ok(0)
        }
        Command::Refuse(why) => Err(Failure::NotDone(why).into()),
    }
}
