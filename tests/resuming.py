"""Runs to be stopped and resumed, and everything about them that must be the same."""

from charrnn import CharRNN

TEXT = "the tide comes in, the tide goes out; nobody asked the tide. " * 12
PLAN = {"updates": 1300, "seq_length": 6, "sample_every": 170, "sample_length": 30, "progress": False}


def model(**options):
    return CharRNN(**({"hidden_size": 9, "seed": 5} | options))


def outcome(trained, history):
    """Everything that must be the same: bits, losses, samples, validation, notes and the random generator."""
    return (
        trained.theta.tobytes(),
        history.best.theta.tobytes(),
        history.loss.tobytes(),
        history.smooth_loss.tobytes() + history.gradient_norm.tobytes(),
        [(s.step, s.epoch, s.text, s.loss_per_char == s.loss_per_char and s.loss_per_char) for s in history.samples],
        [(v.step, v.loss) for v in history.validation],
        history.epoch_steps,
        (history.best_step, history.rescues),
        history.notes,
        history.first_step,
        trained.rng.bit_generator.state,
        trained.run.plain(),
    )


def resume(folder, text=TEXT, **options):
    return outcome(*CharRNN.resume(folder, text, progress=False, **options))
