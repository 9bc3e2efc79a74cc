"""What a training run does when: steps, learning rate, weights of exits, crops and batches. Called by train.py; no torch.

All randomness comes in as a random.Random, so that a seed fixes the run.
"""

import math


def exit_weights(text, num_layers):
    """The share of every exit in the loss, adding up to 1.

    "depth": exit e counts e, as in the paper's exits that were trained jointly; "even": all count alike; or one number
    for each exit, with commas between them.
    """
    if text == "depth":
        weights = [float(layer + 1) for layer in range(num_layers)]
    elif text == "even":
        weights = [1.0] * num_layers
    else:
        try:
            weights = [float(part) for part in text.split(",")]
        except ValueError:
            raise ValueError(f'--exit-weights "{text}": depth, even, or {num_layers} numbers') from None
        if len(weights) != num_layers:
            raise ValueError(f"--exit-weights: {len(weights)} numbers, but the model has {num_layers} exits")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or sum(weights) <= 0:
        raise ValueError(f'--exit-weights "{text}": weights are not negative, and one is above 0')
    return [weight / sum(weights) for weight in weights]


def learning_rate(step, steps, peak, warmup=0.03):
    """Linear from 0 to `peak` in the first `warmup` of all steps, then linear to 0 after the last one."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (steps - step) / max(1, steps - rising)


def num_steps(num_records, batch_size, epochs):
    return max(1, round(math.ceil(num_records / batch_size) * epochs))


def shorten(ids, room, share, random):
    """A text's token ids, cut to `room`. With chance `share` a part is read instead of the beginning: of a text that is
    too long `room` tokens from anywhere, of another one at least six tenths of it."""
    if random.random() >= share:
        return ids[:room]
    length = room if len(ids) > room else random.randint(math.ceil(len(ids) * 0.6), len(ids))
    begin = random.randint(0, len(ids) - length)
    return ids[begin : begin + length]


def batches(lengths, batch_size, random, window=64):
    """Indices of `lengths` in batches of texts of about one length, in random order: texts are shuffled, cut into windows
    of `window` batches, and sorted by length within them."""
    order = list(range(len(lengths)))
    random.shuffle(order)
    for begin in range(0, len(order), batch_size * window):
        part = sorted(order[begin : begin + batch_size * window], key=lambda i: lengths[i])
        ready = [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
        random.shuffle(ready)
        yield from ready
