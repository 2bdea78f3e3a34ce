//! Servers that are left out for their failures.

use super::*;

const FAILURES: &str = "ejection = { failures = 2, time = \"200ms\", most = \"50%\" }";

fn fail(made: &Made, number: usize, times: usize) -> bool {
    let server = made.server(number);
    (0..times).any(|_| made.balancer().failed(&server))
}

#[tokio::test]
async fn a_server_that_fails_is_left_out_and_comes_back() {
    for mode in MODES {
        let made = Made::weighing(&[1, 1, 1], &format!("{mode}\n{FAILURES}"));
        assert!(!fail(&made, 2, 1));
        assert!(made.share(100)[1] > 0);
        assert!(fail(&made, 2, 1));
        assert!(made.server(2).ejection.is_out_now());
        assert_eq!(made.share(100)[1], 0, "{mode}");
        assert!(
            made.members().iter().all(|member| member.is_healthy()),
            "no matter of its health"
        );
        until("it is back", || !made.server(2).ejection.is_out_now()).await;
        assert!(made.share(300)[1] > 0, "{mode}");
        // It is on trial now: one failure is enough.
        assert!(fail(&made, 2, 1));
        until("it is back again", || !made.server(2).ejection.is_out_now()).await;
        made.server(2).ejection.succeeded();
        assert!(!fail(&made, 2, 1));
        assert!(fail(&made, 2, 1));
    }
    let made = Made::weighing(&[1, 1, 1], FAILURES);
    assert!(fail(&made, 3, 2));
    let text = made.metrics.render();
    let series = "tidegate_upstream_ejections_total{upstream=\"api\",server=\"10.0.0.3:80\"} 1";
    assert!(text.contains(series), "{text}");
}

#[tokio::test]
async fn no_more_than_a_part_of_them_is_left_out() {
    let made = Made::weighing(&[1; 5], FAILURES);
    let out: Vec<bool> = (1..=5).map(|number| fail(&made, number, 10)).collect();
    assert_eq!(out, [true, true, false, false, false]);
    until("there is room again", || fail(&made, 4, 1)).await;

    let alone = Made::weighing(&[1], "ejection = { failures = 1, most = \"100%\" }");
    assert!(!fail(&alone, 1, 100));
    let off = Made::weighing(&[1, 1], "ejection = { failures = 0 }");
    assert!(!fail(&off, 1, 100));
    let never = Made::weighing(&[1, 1], "ejection = { failures = 1, most = \"0%\" }");
    assert!(!fail(&never, 1, 100));
}

#[tokio::test]
async fn two_at_once_do_not_take_the_same_room() {
    for _ in 0..100 {
        let made = Made::weighing(&[1; 4], "ejection = { failures = 1, most = \"25%\" }");
        let balancer = made.balancer();
        let out: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=4)
                .map(|number| {
                    let server = made.server(number);
                    scope.spawn(move || (0..50).filter(|_| balancer.failed(&server)).count())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(out, 1);
    }
}

#[tokio::test]
async fn the_worse_off_are_chosen_only_for_want_of_better() {
    for mode in MODES {
        let made = Made::weighing(&[1, 1, 1, 1], mode);
        made.member(1).set_healthy(false);
        made.leave_out(2);
        made.leave_out(3);
        let pick = |tried: &[usize]| {
            let tried: Vec<_> = tried.iter().map(|number| made.server(*number)).collect();
            (0..100)
                .map(|at| number(&made.balancer().pick(format!("{at}").as_bytes(), &tried).unwrap()))
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(pick(&[]), [4].into(), "{mode}: in, and healthy");
        assert_eq!(pick(&[4]), [2, 3].into(), "{mode}: left out before tried");
        assert_eq!(pick(&[2, 4]), [3].into(), "{mode}");
        assert_eq!(
            pick(&[2, 3, 4]),
            [4].into(),
            "{mode}: tried and in before tried and left out"
        );
    }
}
