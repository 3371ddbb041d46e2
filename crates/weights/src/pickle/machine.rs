//! The stack machine: reads the instructions of a pickle and moves values. Start at [`run`].

use super::{Object, Pickle, Value};
use crate::error::FormatError;
use std::collections::BTreeMap;

/// The maximum number of instructions of a pickle. A checkpoint has about ten per tensor. The limit also bounds memory, because an
/// instruction creates at most one value.
const MAX_INSTRUCTIONS: usize = 1 << 22;

/// Runs the pickle at the start of `data`.
pub(crate) fn run(data: &[u8]) -> Result<Pickle<'_>, FormatError> {
    let mut machine = Machine {
        data,
        at: 0,
        start: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        objects: Vec::new(),
        num_copied: 0,
    };
    for _ in 0..MAX_INSTRUCTIONS {
        if machine.step()? {
            let value = machine.pop()?;
            return Ok(Pickle { value, len: machine.at, objects: machine.objects });
        }
    }
    Err(FormatError::TooLarge { limit: MAX_INSTRUCTIONS, what: "instructions" })
}

pub(super) struct Machine<'a> {
    data: &'a [u8],
    at: usize,
    /// The position of the current instruction.
    start: usize,
    stack: Vec<Value<'a>>,
    /// The heights of the stack at each `MARK`.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value<'a>>,
    pub(super) objects: Vec<Object<'a>>,
    /// The number of items that were copied from one container to another.
    num_copied: usize,
}

impl<'a> Machine<'a> {
    /// Runs one instruction; returns whether it was the last. Codes are those of CPython's `pickle.py`, protocols 2 to 5.
    fn step(&mut self) -> Result<bool, FormatError> {
        self.start = self.at;
        let opcode = self.byte()?;
        match opcode {
            0x80 => self.skip(1)?, // PROTO
            0x95 => self.skip(8)?, // FRAME
            b'.' => return Ok(true),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' | b'M' | b'J' | 0x8a | 0x8b | b'G' => self.number(opcode)?,
            b'X' | b'U' | b'T' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 => self.string(opcode)?,
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memo(opcode)?,
            b')' | 0x85 | 0x86 | 0x87 | b't' | b']' | b'}' | 0x8f => self.make(opcode)?,
            b'a' | b'e' | b's' | b'u' | 0x90 => self.fill(opcode)?,
            0x91 => {
                self.pop_to_mark()?; // FROZENSET
                self.stack.push(Value::Opaque);
            }
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'b' | b'Q' => self.call(opcode)?,
            _ => return Err(FormatError::Opcode { opcode, offset: self.start }),
        }
        Ok(false)
    }

    fn number(&mut self, opcode: u8) -> Result<(), FormatError> {
        let value = match opcode {
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            b'G' => {
                self.skip(8)?;
                Value::Opaque
            }
            _ => {
                let len =
                    if opcode == 0x8a { usize::from(self.byte()?) } else { u32::from_le_bytes(self.array()?) as usize };
                long(self.take(len)?)
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn string(&mut self, opcode: u8) -> Result<(), FormatError> {
        let len = match opcode {
            b'U' | b'C' | 0x8c => u64::from(self.byte()?),
            b'X' | b'T' | b'B' => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        let bytes = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        // `U` and `T` are the strings of Python 2. The others are bytes, which no tensor needs.
        let text = matches!(opcode, b'X' | b'U' | b'T' | 0x8c | 0x8d).then(|| str::from_utf8(bytes).ok()).flatten();
        self.stack.push(text.map_or(Value::Opaque, Value::Str));
        Ok(())
    }

    fn memo(&mut self, opcode: u8) -> Result<(), FormatError> {
        match opcode {
            b'q' | b'r' | 0x94 => {
                let key = match opcode {
                    b'q' => u32::from(self.byte()?),
                    b'r' => u32::from_le_bytes(self.array()?),
                    _ => self.memo.len() as u32,
                };
                let top = self.top()?;
                self.memo.insert(key, top);
            }
            _ => {
                let key = if opcode == b'h' { u32::from(self.byte()?) } else { u32::from_le_bytes(self.array()?) };
                let value =
                    self.memo.get(&key).copied().ok_or(self.bad("it reads a memo entry that was never stored"))?;
                self.stack.push(value);
            }
        }
        Ok(())
    }

    fn make(&mut self, opcode: u8) -> Result<(), FormatError> {
        let object = match opcode {
            b')' => Object::Tuple(Vec::new()),
            0x85..=0x87 => {
                let first = self.stack.len().checked_sub(usize::from(opcode - 0x84));
                Object::Tuple(self.stack.split_off(first.ok_or(self.bad("its stack is empty"))?))
            }
            b't' => Object::Tuple(self.pop_to_mark()?),
            b']' => Object::List(Vec::new()),
            b'}' => Object::Dict(Vec::new()),
            _ => {
                self.stack.push(Value::Opaque); // EMPTY_SET
                return Ok(());
            }
        };
        self.push_object(object);
        Ok(())
    }

    /// Adds items to the list or dictionary below them. Items added to an opaque value are dropped.
    fn fill(&mut self, opcode: u8) -> Result<(), FormatError> {
        let items = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        let target = self.top()?;
        let bad = self.bad("it adds items to a value that is not a container");
        let Value::Object(id) = target else {
            return if target == Value::Opaque { Ok(()) } else { Err(bad) };
        };
        match (&mut self.objects[id], opcode) {
            (Object::List(list), b'a' | b'e') => list.extend(items),
            (Object::Dict(dict), b's' | b'u') if items.len().is_multiple_of(2) => {
                dict.extend(items.as_chunks::<2>().0.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Err(bad),
        }
        Ok(())
    }

    fn call(&mut self, opcode: u8) -> Result<(), FormatError> {
        let value = match opcode {
            b'c' => Value::Global(self.line()?, self.line()?),
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Str(name), Value::Str(module)) => Value::Global(module, name),
                _ => return Err(self.bad("it imports a value that is not a name")),
            },
            b'R' | 0x81 => {
                let (args, function) = (self.pop()?, self.pop()?);
                self.reduce(function, args)?
            }
            0x92 => {
                // NEWOBJ_EX: class, arguments, keyword arguments.
                self.pop()?;
                self.pop()?;
                self.pop()?;
                Value::Opaque
            }
            b'b' => {
                // BUILD sets attributes of an object. They are dropped; an OrderedDict has only `_metadata`.
                self.pop()?;
                self.pop()?
            }
            _ => {
                let id = self.pop()?;
                self.persistent(id)?
            }
        };
        self.stack.push(value);
        Ok(())
    }

    /// Counts items that are copied from one container to another, which an instruction can do with any number of them.
    pub(super) fn count_copied(&mut self, num_items: usize) -> Result<(), FormatError> {
        self.num_copied = self.num_copied.saturating_add(num_items);
        let within = self.num_copied <= MAX_INSTRUCTIONS;
        within.then_some(()).ok_or(FormatError::TooLarge { limit: MAX_INSTRUCTIONS, what: "copied items" })
    }

    pub(super) fn object(&mut self, object: Object<'a>) -> Value<'a> {
        self.objects.push(object);
        Value::Object(self.objects.len() - 1)
    }

    fn push_object(&mut self, object: Object<'a>) {
        let value = self.object(object);
        self.stack.push(value);
    }

    fn top(&self) -> Result<Value<'a>, FormatError> {
        self.stack.last().copied().ok_or(self.bad("its stack is empty"))
    }

    fn pop(&mut self) -> Result<Value<'a>, FormatError> {
        let bad = self.bad("its stack is empty");
        // Values below a mark belong to a later instruction.
        if self.marks.last().is_some_and(|&mark| self.stack.len() <= mark) {
            return Err(bad);
        }
        self.stack.pop().ok_or(bad)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, FormatError> {
        let mark = self.marks.pop().ok_or(self.bad("it has no mark"))?;
        if mark > self.stack.len() {
            return Err(self.bad("its mark is above its stack"));
        }
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.data.len());
        let end = end.ok_or(FormatError::Truncated { len: self.data.len(), what: "the pickle" })?;
        let bytes = &self.data[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn skip(&mut self, len: usize) -> Result<(), FormatError> {
        self.take(len).map(drop)
    }

    fn byte(&mut self) -> Result<u8, FormatError> {
        Ok(self.take(1)?[0])
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], FormatError> {
        let mut array = [0; SIZE];
        array.copy_from_slice(self.take(SIZE)?);
        Ok(array)
    }

    fn line(&mut self) -> Result<&'a str, FormatError> {
        let rest = &self.data[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let line = self.take(len)?;
        self.skip(1)?;
        str::from_utf8(line).map_err(|_not_text| self.bad("a name is not UTF-8"))
    }

    pub(super) fn bad(&self, message: &'static str) -> FormatError {
        FormatError::Pickle { offset: self.start, message }
    }
}

/// Reads a little-endian two's complement number. Numbers of more than 64 bits, which no tensor needs, are opaque.
pub(super) fn long(bytes: &[u8]) -> Value<'static> {
    if bytes.len() > 8 {
        return Value::Opaque;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut all = if negative { [0xff; 8] } else { [0; 8] };
    all[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(all))
}
