//! [`lists()`]: the annotation lists in the format of UCF101.
//!
//! ```text
//! classInd.txt       1 ApplyEyeMakeup
//! trainlist01.txt    ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
//! testlist01.txt     ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
//! ```

use crate::scene::Clip;

/// Returns the name and the content of each list.
pub(crate) fn lists(classes: &[&'static str], clips: &[Clip], test_groups: u32) -> [(&'static str, String); 3] {
    let lines = |lines: Vec<String>| lines.join("\n") + "\n";
    let names = classes.iter().enumerate().map(|(index, name)| format!("{} {name}", index + 1));
    let (test_clips, train_clips): (Vec<_>, Vec<_>) = clips.iter().partition(|clip| clip.group <= test_groups);
    let labelled = |clip: &&Clip| format!("{} {}", clip.path(), clip.class_index + 1);
    let class_index = lines(names.collect());
    let train = lines(train_clips.iter().map(labelled).collect());
    let test = lines(test_clips.iter().map(|clip| clip.path()).collect());
    [("classInd.txt", class_index), ("trainlist01.txt", train), ("testlist01.txt", test)]
}
