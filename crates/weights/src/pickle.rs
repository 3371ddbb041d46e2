//! An interpreter for the pickles of `torch.save` that never calls anything. Start at [`run`].
//!
//! A pickle is a program for a stack machine; in Python it may import and call anything. Here, a name outside a short list and every
//! object made with it is [`Value::Opaque`]: it can be stored, but it has no content. This is enough for checkpoints that contain
//! objects of other classes, such as the `message_hub` of MMEngine.

mod machine;
mod torch;

pub(crate) use machine::run;

use crate::tensor::Dtype;

/// The value of a pickle with the objects that it refers to.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    pub(crate) value: Value<'a>,
    /// The length of the program in bytes.
    pub(crate) len: usize,
    objects: Vec<Object<'a>>,
}

/// A value on the stack. Objects that can be shared or changed are stored in [`Pickle`] and identified by their position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Str(&'a str),
    /// An imported name: module and attribute.
    Global(&'a str, &'a str),
    /// A value that no tensor needs.
    Opaque,
    Object(usize),
}

#[derive(Debug)]
pub(crate) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(TensorRef<'a>),
    /// A storage of elements that [`Dtype`] does not have, by the name of its class.
    OtherStorage(&'a str),
    /// A tensor of another kind than [`TensorRef`]: its type of elements, such as `float8_e4m3fn`, or `sparse` or `quantised`.
    OtherTensor(&'a str),
}

/// A block of elements elsewhere in the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Storage<'a> {
    pub(crate) key: &'a str,
    pub(crate) dtype: Dtype,
    pub(crate) numel: usize,
}

/// A view of a storage. Offset and strides count elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TensorRef<'a> {
    pub(crate) storage: Storage<'a>,
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    pub(crate) stride: Vec<usize>,
}

impl<'a> Pickle<'a> {
    pub(crate) fn list(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match self.object(value)? {
            Object::List(items) | Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self.object(value)? {
            Object::Dict(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn tensor(&self, value: Value<'a>) -> Option<&TensorRef<'a>> {
        match self.object(value)? {
            Object::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// Returns what a tensor is that is not supported: its type of elements, or a kind such as `sparse`.
    pub(crate) fn other_tensor(&self, value: Value<'a>) -> Option<&'a str> {
        match self.object(value)? {
            Object::OtherTensor(kind) => Some(kind),
            _ => None,
        }
    }

    /// Returns all storages that the pickle refers to.
    pub(crate) fn storages(&self) -> impl Iterator<Item = Storage<'a>> {
        self.objects
            .iter()
            .filter_map(|object| if let Object::Storage(storage) = object { Some(*storage) } else { None })
    }

    fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        if let Value::Object(id) = value { self.objects.get(id) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::machine::long;
    use super::*;

    fn error(data: &[u8]) -> String {
        run(data).expect_err("an error").to_string()
    }

    #[test]
    fn a_dictionary_is_read() {
        // {"a": 1, "b": (True, -2)}
        let data = b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00b\x88J\xfe\xff\xff\xff\x86u.rest";
        let pickle = run(data).expect("a pickle");
        let dict = pickle.dict(pickle.value).expect("a dictionary");
        assert_eq!(dict[0], (Value::Str("a"), Value::Int(1)));
        assert_eq!(pickle.list(dict[1].1), Some(&[Value::Bool(true), Value::Int(-2)][..]));
        assert_eq!(&data[pickle.len..], b"rest");
    }

    #[test]
    fn a_call_is_not_executed() {
        // os.system("true"), and attributes set on its result
        let data = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R}b.";
        let pickle = run(data).expect("a pickle");
        assert_eq!(pickle.value, Value::Opaque);
    }

    #[test]
    fn an_instance_of_an_unknown_class_is_opaque() {
        // As `copyreg` writes it, for example for MMEngine's HistoryBuffer: cls.__new__(cls), then BUILD with a dictionary.
        let data = b"\x80\x02}X\x01\x00\x00\x00hcmmengine.logging.history_buffer\nHistoryBuffer\n)\x81}b\x73.";
        let pickle = run(data).expect("a pickle");
        assert_eq!(pickle.dict(pickle.value), Some(&[(Value::Str("h"), Value::Opaque)][..]));
    }

    #[test]
    fn errors_have_a_position() {
        assert_eq!(error(b"\x80\x02"), "it ends at byte 2, in the middle of the pickle");
        assert_eq!(error(b"\x80\x02t."), "the pickle is not well-formed at byte 2: it has no mark");
        assert_eq!(error(b"\x80\x02i"), "the pickle has instruction 0x69 at byte 2, which torch.save does not write");
        assert!(error(&b"2".repeat(3)).contains("its stack is empty"));
        assert!(error(b"\x80\x02X\xff\xff\xff\xff").contains("it ends at byte 7"));
    }

    #[test]
    fn numbers_have_any_length() {
        assert_eq!(long(&[]), Value::Int(0));
        assert_eq!(long(&[0xff]), Value::Int(-1));
        assert_eq!(long(&[0xff, 0]), Value::Int(255));
        assert_eq!(long(&[0; 9]), Value::Opaque);
    }

    #[test]
    fn a_dictionary_of_python_2_is_read() {
        // OrderedDict([["a", 1], ["b", 2]])
        let data = b"\x80\x02ccollections\nOrderedDict\n](](X\x01\0\0\0aK\x01e](X\x01\0\0\0bK\x02ee\x85R.";
        let pickle = run(data).expect("a pickle");
        let expect = [(Value::Str("a"), Value::Int(1)), (Value::Str("b"), Value::Int(2))];
        assert_eq!(pickle.dict(pickle.value), Some(&expect[..]));
        let error = error(b"\x80\x02ccollections\nOrderedDict\n](K\x01e\x85R.");
        assert!(error.contains("the arguments of a dictionary are not pairs"), "{error}");
    }

    /// A tensor with the storage, offset, sizes and strides that `before` and `after` surround.
    fn tensor(before: &[u8], sizes: usize, after: &[u8]) -> Vec<u8> {
        let mut data = b"\x80\x02".to_vec();
        data.extend(before);
        data.extend(b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04NtQK\0");
        for _ in 0..2 {
            data.push(b'(');
            (0..sizes).for_each(|_| data.extend(b"K\x01"));
            data.push(b't');
        }
        data.extend(after);
        data
    }

    #[test]
    fn every_call_that_builds_a_tensor_is_known() {
        let check = |before: &[u8], after: &[u8]| {
            let data = tensor(before, 1, after);
            let pickle = run(&data).expect("a pickle");
            let shape = pickle.tensor(pickle.value).map(|tensor| tensor.shape.clone());
            assert_eq!(shape, Some(vec![1]), "{}", String::from_utf8_lossy(before));
        };
        check(b"ctorch._utils\n_rebuild_tensor_v2\n", b"\x89NtR.");
        check(b"ctorch._utils\n_rebuild_tensor\n", b"tR.");
        check(b"ctorch._utils\n_rebuild_parameter\n(ctorch._utils\n_rebuild_tensor_v2\n", b"\x89NtR\x89NtR.");
        check(
            b"ctorch._utils\n_rebuild_parameter_with_state\n(ctorch._utils\n_rebuild_tensor_v2\n",
            b"\x89NtR\x89NNtR.",
        );
        check(
            b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n",
            b"\x89Nt}tR.",
        );
    }

    #[test]
    fn a_tensor_has_a_limited_number_of_axes() {
        let data = |sizes| tensor(b"ctorch._utils\n_rebuild_tensor_v2\n", sizes, b"\x89NtR.");
        assert!(run(&data(64)).is_ok());
        assert!(error(&data(65)).contains("the arguments of a tensor are not"), "{}", error(&data(65)));
    }

    #[test]
    fn copies_are_limited() {
        // A list of 3,000 pairs, which 3,000 dictionaries copy.
        let mut data = b"\x80\x02](".to_vec();
        (0..3_000).for_each(|_| data.extend(b"K\x01K\x01\x86"));
        data.extend(b"eq\x01");
        (0..3_000).for_each(|_| data.extend(b"ccollections\nOrderedDict\nh\x01\x85R0"));
        data.push(b'.');
        assert!(error(&data).contains("copied items"), "{}", error(&data));
    }
}
