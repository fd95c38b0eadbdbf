//! What Python objects a pickle names, found without making any of them.
//!
//! A pickle is a program for a stack machine, and loading it in Python runs whatever it names. Here only the names are
//! followed: where a string, and what else, is on the stack. (Opcodes: Python's `pickletools` module.)

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use pytorch_reader::OpCode;

/// A function or class that a pickle names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Global {
    pub module: String,
    pub name: String,
}

/// Opcodes without a name in the reader: it knows neither.
const INST: u8 = b'i';
const OBJ: u8 = b'o';

/// Most opcodes of one pickle: several times what a training state of the largest network has. Each can cost the
/// reader a hundred bytes.
const MAX_OPCODES: usize = 2_000_000;

/// Longer strings are no names.
const MAX_NAME: u64 = 256;

/// Everything that a pickle names. Stops behind its end, before what follows.
pub(super) fn globals(pickle: &mut impl BufRead) -> Result<BTreeSet<Global>, String> {
    let mut machine = Machine {
        pickle,
        stack: Vec::new(),
        memo: HashMap::new(),
        globals: BTreeSet::new(),
    };
    for _ in 0..MAX_OPCODES {
        match machine.step() {
            Ok(true) => return Ok(machine.globals),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err("its pickle is cut off".to_owned());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("its pickle has more than {MAX_OPCODES} opcodes"))
}

#[derive(Clone)]
enum Value {
    Mark,
    Text(Rc<str>),
    Other,
}

struct Machine<'a, R> {
    pickle: &'a mut R,
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
    globals: BTreeSet<Global>,
}

impl<R: BufRead> Machine<'_, R> {
    /// Follows one opcode; true at the end.
    fn step(&mut self) -> io::Result<bool> {
        let [byte] = self.bytes()?;
        match byte {
            INST => {
                self.global_line()?;
                self.pop_to_mark()?;
                self.push();
                return Ok(false);
            }
            OBJ => {
                self.pop_to_mark()?;
                self.push();
                return Ok(false);
            }
            _ => {}
        }
        let op = OpCode::try_from(byte)
            .map_err(|byte| bad(format!("its pickle has an opcode 0x{byte:02x}, unknown")))?;
        match op {
            OpCode::Stop => return Ok(true),
            OpCode::Proto => self.skip(1)?,
            OpCode::Frame => self.skip(8)?,

            OpCode::None | OpCode::NewTrue | OpCode::NewFalse => self.push(),
            OpCode::EmptyTuple | OpCode::EmptyList | OpCode::EmptyDict | OpCode::EmptySet => {
                self.push()
            }
            OpCode::Int | OpCode::Long | OpCode::Float | OpCode::PersId => {
                self.line()?;
                self.push();
            }
            OpCode::BinInt1 => self.skip_and_push(1)?,
            OpCode::BinInt2 => self.skip_and_push(2)?,
            OpCode::BinInt => self.skip_and_push(4)?,
            OpCode::BinFloat => self.skip_and_push(8)?,
            OpCode::Long1 | OpCode::ShortBinBytes => {
                let [len] = self.bytes()?;
                self.skip_and_push(len.into())?;
            }
            OpCode::Long4 | OpCode::BinBytes => {
                let len = u32::from_le_bytes(self.bytes()?);
                self.skip_and_push(len.into())?;
            }
            OpCode::BinBytes8 | OpCode::ByteArray8 => {
                let len = u64::from_le_bytes(self.bytes()?);
                self.skip_and_push(len)?;
            }

            OpCode::Unicode => {
                let text = self.line()?;
                self.stack.push(Value::Text(text.into()));
            }
            OpCode::ShortBinUnicode | OpCode::ShortBinString => {
                let [len] = self.bytes()?;
                self.text(len.into())?;
            }
            OpCode::BinUnicode | OpCode::BinString => {
                let len = u32::from_le_bytes(self.bytes()?);
                self.text(len.into())?;
            }
            OpCode::BinUnicode8 => {
                let len = u64::from_le_bytes(self.bytes()?);
                self.text(len)?;
            }

            OpCode::Mark => self.stack.push(Value::Mark),
            OpCode::Pop => {
                self.pop()?;
            }
            OpCode::PopMark => self.pop_to_mark()?,
            OpCode::Dup => {
                let top = self.top()?;
                self.stack.push(top);
            }
            OpCode::Tuple | OpCode::List | OpCode::Dict | OpCode::FrozenSet => {
                self.pop_to_mark()?;
                self.push();
            }
            OpCode::Tuple1 | OpCode::BinPersId => self.replace(1)?,
            OpCode::Tuple2 | OpCode::Reduce | OpCode::NewObj => self.replace(2)?,
            OpCode::Tuple3 | OpCode::NewObjEx => self.replace(3)?,
            OpCode::Append | OpCode::Build => {
                self.pop()?;
            }
            OpCode::SetItem => {
                self.pop()?;
                self.pop()?;
            }
            OpCode::Appends | OpCode::SetItems | OpCode::AddItems => self.pop_to_mark()?,

            OpCode::Get => {
                let index = self.index_line()?;
                self.fetch(index)?;
            }
            OpCode::BinGet => {
                let [index] = self.bytes()?;
                self.fetch(index.into())?;
            }
            OpCode::LongBinGet => {
                let index = u32::from_le_bytes(self.bytes()?);
                self.fetch(index)?;
            }
            OpCode::Put => {
                let index = self.index_line()?;
                self.memoize(index)?;
            }
            OpCode::BinPut => {
                let [index] = self.bytes()?;
                self.memoize(index.into())?;
            }
            OpCode::LongBinPut => {
                let index = u32::from_le_bytes(self.bytes()?);
                self.memoize(index)?;
            }
            OpCode::Memoize => self.memoize(self.memo.len() as u32)?,

            OpCode::Global => {
                self.global_line()?;
                self.push();
            }
            OpCode::StackGlobal => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |value| match value {
                    Value::Text(text) => text.as_ref().to_owned(),
                    Value::Mark | Value::Other => "?".to_owned(),
                };
                self.globals.insert(Global {
                    module: text(module),
                    name: text(name),
                });
                self.push();
            }
            other => return Err(bad(format!("its pickle has an opcode {other:?}, refused"))),
        }
        Ok(false)
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.pickle.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, len: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.pickle.by_ref().take(len), &mut io::sink())?;
        if skipped < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.pickle.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn index_line(&mut self) -> io::Result<u32> {
        let line = self.line()?;
        line.parse()
            .map_err(|_| bad(format!("its pickle has a memo index {line:?}")))
    }

    fn text(&mut self, len: u64) -> io::Result<()> {
        if len > MAX_NAME {
            return self.skip_and_push(len);
        }
        let mut bytes = vec![0; len as usize];
        self.pickle.read_exact(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        self.stack.push(Value::Text(text.into()));
        Ok(())
    }

    fn global_line(&mut self) -> io::Result<()> {
        let (module, name) = (self.line()?, self.line()?);
        self.globals.insert(Global { module, name });
        Ok(())
    }

    fn push(&mut self) {
        self.stack.push(Value::Other);
    }

    fn skip_and_push(&mut self, len: u64) -> io::Result<()> {
        self.skip(len)?;
        self.push();
        Ok(())
    }

    fn pop(&mut self) -> io::Result<Value> {
        self.stack.pop().ok_or_else(underflow)
    }

    fn top(&self) -> io::Result<Value> {
        self.stack.last().cloned().ok_or_else(underflow)
    }

    fn pop_to_mark(&mut self) -> io::Result<()> {
        while !matches!(self.pop()?, Value::Mark) {}
        Ok(())
    }

    /// One value for the upper `count`.
    fn replace(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            self.pop()?;
        }
        self.push();
        Ok(())
    }

    fn fetch(&mut self, index: u32) -> io::Result<()> {
        let value = self.memo.get(&index).cloned();
        self.stack
            .push(value.ok_or_else(|| bad(format!("its pickle has no memo {index}")))?);
        Ok(())
    }

    fn memoize(&mut self, index: u32) -> io::Result<()> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }
}

fn bad(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

fn underflow() -> io::Error {
    bad("its pickle takes more from the stack than there is".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(pickle: &[u8]) -> Vec<String> {
        let globals = globals(&mut &pickle[..]).unwrap();
        let name = |global: &Global| format!("{}.{}", global.module, global.name);
        globals.iter().map(name).collect()
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        struct Case {
            pickle: &'static [u8],
            named: &'static [&'static str],
        }
        let cases = [
            // Python: pickle.dumps(OrderedDict(a=1), protocol=2).
            Case {
                pickle:
                    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00aq\x02K\x01s.",
                named: &["collections.OrderedDict"],
            },
            // A call whose result is thrown away.
            Case {
                pickle: b"\x80\x02cos\nsystem\n\x8c\x04true\x85R0N.",
                named: &["os.system"],
            },
            // Protocol 4, through the memo.
            Case {
                pickle:
                    b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93\x8c\x04true\x85R.",
                named: &["os.system"],
            },
            Case {
                pickle: b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
                named: &["posix.system"],
            },
            // Protocol 0: INST and OBJ call as well.
            Case {
                pickle: b"(S'true'\nios\nsystem\n.",
                named: &[],
            },
            Case {
                pickle: b"(X\x04\x00\x00\x00trueios\nsystem\n.",
                named: &["os.system"],
            },
            Case {
                pickle: b"(cbuiltins\neval\nX\x01\x00\x00\x000o.",
                named: &["builtins.eval"],
            },
            // A name that is no string.
            Case {
                pickle: b"\x80\x04\x8c\x02osN\x93.",
                named: &["os.?"],
            },
            Case {
                pickle: b"\x80\x02c__main__\nEvil\n)\x81}X\x0c\x00\x00\x00__setstate__NsbN.",
                named: &["__main__.Evil"],
            },
        ];
        for case in cases {
            let text = case.pickle.escape_ascii().to_string();
            if case.named.is_empty() {
                assert!(globals(&mut &case.pickle[..]).is_err(), "{text}");
            } else {
                assert_eq!(named(case.pickle), case.named, "{text}");
            }
        }
    }

    #[test]
    fn what_follows_is_left() {
        let mut two = &b"\x80\x02N.cos\nsystem\n."[..];
        assert!(globals(&mut two).unwrap().is_empty());
        assert_eq!(globals(&mut two).unwrap().len(), 1);
    }

    #[test]
    fn broken_pickles_are_errors() {
        let cases: [&[u8]; 14] = [
            b"",
            b"\x80\x02",
            b"N",
            b"0.",
            b"t.",
            b"R.",
            b"h\x07.",
            b"gx\n.",
            b"\xff.",
            b"\x82\x01.",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.",
            b"\x8b\xff\xff\xff\x7fx.",
            b"cos",
            b"\x97.",
        ];
        for pickle in cases {
            assert!(
                globals(&mut &pickle[..]).is_err(),
                "{}",
                pickle.escape_ascii()
            );
        }
        let endless = b"N".repeat(MAX_OPCODES + 1);
        assert!(globals(&mut &endless[..]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(pickle in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = globals(&mut &pickle[..]);
        }

        #[test]
        fn no_opcodes_panic(pickle in "[NKh}()l2tRbqsu0.e\u{1}]{0,80}") {
            let _ = globals(&mut pickle.as_bytes());
        }
    }
}
