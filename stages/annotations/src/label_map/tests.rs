//! Tests of all kinds of label maps.

use super::*;
use crate::test_data;

fn parse(name: &str, text: &str) -> Result<ClassList, Vec<String>> {
    let file = test_data::file(name, text);
    let mut sink = Sink::default();
    let classes = read(&file, &mut sink);
    test_data::classes_or_errors(sink, classes)
}

#[track_caller]
fn check(name: &str, text: &str, first_number: Option<u32>, names: &[&str]) {
    let classes = parse(name, text).expect("a label map");
    assert_eq!((classes.first_number, classes.names), (first_number, names.iter().map(ToString::to_string).collect()));
}

#[test]
fn every_kind_of_label_map_is_read() {
    check("a.txt", "brush_hair\ncart wheel\r\n\n", None, &["brush_hair", "cart wheel"]);
    check("a.txt", "3 point shot\nrun", None, &["3 point shot", "run"]);
    check("a.txt", "0\tbook\n1\tdrink up\n", Some(0), &["book", "drink up"]);
    check("a.txt", "1: bend/bow\n2: crouch\n", Some(1), &["bend/bow", "crouch"]);
    check("a.txt", "jump 0\nhigh jump 1\n", Some(0), &["jump", "high jump"]);
    check("a.txt", "run\t2\nwalk\t1", Some(1), &["walk", "run"]);
    check("a.csv", "jump,0\nrun,1\n", Some(0), &["jump", "run"]);
    check("A.CSV", "id,name\n1,b\n0,a\n", Some(0), &["a", "b"]);
    check("a.csv", "sep=;\nclass;index\n2020;0.0\n2021;1.0\n", Some(0), &["2020", "2021"]);
    check("a.json", "{\"2020\": 0, \"2021\": 1}", Some(0), &["2020", "2021"]);
    check("a.txt", "2020\n2021", None, &["2020", "2021"]);
    check("a.csv", "id,name\n1,\"b, c\"\n0,a\n", Some(0), &["a", "b, c"]);
    check("a.csv", "action\nBMX\nArm wrestling\n", None, &["BMX", "Arm wrestling"]);
    check("a.json", "{\n \"b\":\"1\",\n \"a\":\"0\"\n}", Some(0), &["a", "b"]);
    check("a.json", "{\"0\": \"a\", \"1\": \"b\"}", Some(0), &["a", "b"]);
    check("a.json", "[\"b\", \"a\"]", None, &["b", "a"]);
}

#[test]
fn wrong_label_maps_are_errors() {
    let check = |name: &str, text: &str, expect: &[&str]| {
        assert_eq!(parse(name, text).expect_err("errors"), expect, "{text}");
    };
    check("a.txt", "a\nb\na", &["a.txt:3: `a` is already a class, at a.txt:1; name each class once"]);
    check(
        "a.txt",
        "0 a\nb",
        &["a.txt:2: `b` is not a valid line; expected a number and a name, such as `1 ApplyEyeMakeup`"],
    );
    check("a.txt", "1 a\n3 b", &["a.txt:2: class 2 is missing before class 3; number classes from 1 without gaps"]);
    check("a.txt", "", &["a.txt:1: the file names no classes; write one per line"]);
    check(
        "a.txt",
        "jump 0\nrun 1\nwalk",
        &["a.txt:3: `walk` is not a valid line; expected a name and a number, such as `ApplyEyeMakeup 1`"],
    );
    check(
        "a.txt",
        "0 1\n1 0",
        &[
            "a.txt:1: both columns could be the numbers of the classes; list only the names, one per line in class order",
        ],
    );
    check(
        "a.csv",
        "x,y,z\n",
        &["a.csv:1: not a label map; the first line must be `id,name`, or the name of a single column"],
    );
    check(
        "a.csv",
        "id,name\n0,c\n0,a,b\n1,\"x\n",
        &[
            "a.csv:3: 3 fields, but the first line has 2; put names that contain a comma in quotes",
            "a.csv:4: a quote is not closed; write a field that contains quotes as `\"like \"\"this\"\"\"`, on one line",
        ],
    );
    check(
        "a.json",
        "{\"a\": \"0\",\n \"b\": [2]}",
        &["a.json:2[\"b\"]: not a class; write `\"name\": number`, or a list of names"],
    );
    check("a.json", "{\"a\": 0,\n x}", &["a.json:2: key must be a string; the label map must be valid JSON"]);
}

#[test]
fn real_label_maps_are_read() {
    let cases = [
        ("mmaction2/label_maps/ucf101/label_map.txt", 101, None, "ApplyEyeMakeup"),
        ("mmaction2/label_maps/hmdb51/label_map.txt", 51, None, "brush_hair"),
        ("mmaction2/label_maps/kinetics/label_map_k400.txt", 400, None, "abseiling"),
        ("mmaction2/label_maps/kinetics/label_map_k600.txt", 600, None, "abseiling"),
        ("mmaction2/label_maps/kinetics/label_map_k700.txt", 700, None, "abseiling"),
        ("mmaction2/label_maps/sthv2/label_map.txt", 174, None, "Approaching something with your camera"),
        ("mmaction2/label_maps/jester/label_map.txt", 27, None, "Swiping Left"),
        ("mmaction2/label_maps/activitynet/label_map.txt", 200, None, "Applying sunscreen"),
        ("mmaction2/label_maps/activitynet/action_name.csv", 200, None, "Applying sunscreen"),
        ("mmaction2/label_maps/skeleton/label_map_ntu60.txt", 60, None, "drink water"),
        ("kinetics/k400_labels_to_id.csv", 400, Some(0), "abseiling"),
        ("sthv2/something-something-v2-labels.json", 174, Some(0), "Approaching something with your camera"),
        ("wlasl/wlasl_class_list.txt", 2000, Some(0), "book"),
        ("ucf101/classInd.txt", 101, Some(1), "ApplyEyeMakeup"),
    ];
    for (path, count, first_number, first) in cases {
        let Some(file) = test_data::list(path) else { return };
        let mut sink = Sink::default();
        let classes = read(&file, &mut sink);
        let classes = test_data::classes_or_errors(sink, classes).expect(path);
        assert_eq!(
            (classes.names.len(), classes.first_number, classes.names[0].as_str()),
            (count, first_number, first),
            "{path}"
        );
    }
}
