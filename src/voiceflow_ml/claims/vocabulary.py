"""The words by which a reader tells a promise from a setting. Data alone; what they weigh is in ``claimhood``."""

from __future__ import annotations

from voiceflow_ml.claims.quantities import Quantity


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SETTING_AFTER = _words(
    "timeout timeouts window windows interval intervals delay delays hop hops frame frames clip clips chunk "
    "chunks step steps tick ticks pause pauses gap gaps warmup budget limit limits grace deadline sleep sleeps "
    "recording recordings excerpt excerpts conversation conversations audio speech apart ago old later "
    "resolution bucket buckets ttl long span horizon segment segments session sessions confidence coverage "
    "confident silence setting settings default cap quota collar period cooldown lease retention threshold"
)
"""Right behind a unit: "a 5 ms timeout", "3 s windows"."""

SETTING_BEFORE = _words(
    "every each for after wait waits waited waiting sleep sleeps sleeping timeout timeouts window windows hop "
    "hops frames frame interval intervals delay delays pause pauses retry retries retried retrying backoff "
    "deadline budget collar keep keeps kept last past next expire expires expired valid grace default defaults "
    "polls poll polled lasts lasted span spread spans clips clip pieces piece recordings recording horizon "
    "warmup lease ttl until assume assumes suppose limit limits bridged dropped shorter longer older within- "
    "reach tick ticks resolution sampled bucket buckets apart cut cuts segments segment chunk chunks step hold "
    "holds held rotate retention holding cap capped if before since set sets reverberation live lives silence "
    "gap gaps idle thinks think injected scraped quota x rooms"
)
"""Close before a number: "every 5 s", "a timeout of 2 s"."""

SETTING_FAR = _words(
    "timeout wait waits sleep sleeps retry interval poll polls expire expires deadline suppose assume logged "
    "dropped clock ticks ramp hold holds recurs budget default"
)
"""Anywhere in the sentence; weighs little."""

SETTING_BEHIND = _words("allowed construction choose chosen configured configurable permitted")
"""Behind a number, in its clause."""

HYPOTHETICAL = _words("suppose if assume assuming imagine say would were")
"""In a sentence that supposes and does not promise."""

CHAINS = _words("to instead of and or vs versus became from than against / , -> \u2192 the")
"""Between two numbers of one kind that are one statement: "from 8 s to 2 s"."""

LONG_TIMES = _words("minute minutes min hour hours h day days week weeks month months year years")
"""No promise of a latency is made in these; a number of them hides the words before it."""

SETTING_HEAD = _words(
    "default defaults option setting settings parameter limit timeout interval window configuration value batch "
    "flag duration length year version scale"
)
"""In the head of a column: what stands below is a setting."""

PERFORMANCE = {
    Quantity.LATENCY: _words(
        "build builds latency latencies percentile tail takes take took taking answers answer answered responds "
        "respond response returns return returned served serves serve finishes finish finished completes "
        "complete inference processing overhead adds add costs cost startup start starts boots faster slow "
        "slower slowest quick median average averages mean max spent request call token query lookup instead "
        "drops climbs rises falls runs processed done outlier land lands parsing reload reads handshake paid "
        "pauses peak failover cold warm restart restarts typical p50 p99 authentication network server model "
        "hit miss compute end-to-end objective"
    ),
    Quantity.THROUGHPUT: _words(
        "throughput sustains sustain serves serve handles handle peaks peak reaches delivers processes forwards "
        "run runs scans gets puts reads writes does performs achieves faster sequential random batched uploads "
        "node core"
    ),
    Quantity.SIZE: _words(
        "fits fit size weighs weigh footprint rss memory binary image container file files library model "
        "network disk small smaller shrank overhead payload went json holds uses stays peak weights tiny "
        "stripped only"
    ),
    Quantity.RATIO: frozenset(),
    Quantity.RTF: frozenset(),
    Quantity.DER: frozenset(),
}
"""Words that make a number of this kind a promise."""

SETTING_OF = {
    Quantity.LATENCY: frozenset(),
    Quantity.THROUGHPUT: _words(
        "at limit limits limiting limited quota quotas rate link links bandwidth flops gflop gflops throttled "
        "offered arrivals come sent send"
    ),
    Quantity.SIZE: _words(
        "ram limit up larger bigger free reserve reserved heap rotate flushed flush block blocks buffer buffers "
        "upload uploads body page requires require needs need with each instance data download per roll "
        "segments fetching has cache messages body_limit exceed exceeds at default every"
    ),
    Quantity.RATIO: frozenset(),
    Quantity.RTF: frozenset(),
    Quantity.DER: frozenset(),
}
"""Words before a number of this kind that make it a setting, a load or a property of a machine."""

SIZE_AFTER = _words(
    "fixed header ram free disk data link links buffers body cache set bandwidth replication each blocks"
)
"""Behind a size that belongs to a machine or a limit."""

COMPARATIVES = _words(
    "ahead behind fastest slowest faster slower smaller larger higher lower quicker better more less fewer "
    "speedup speed-up improvement gain increase reduction throughput speed cheaper lighter leaner overhead "
    "bigger longer shorter worse quick fast wall memory size"
)
"""Within a few words of a multiple: what is compared."""

ARTICLES = _words("the a an its their of")

TURNED = {
    "double": 2.0,
    "doubles": 2.0,
    "doubled": 2.0,
    "twice": 2.0,
    "thrice": 3.0,
    "triple": 3.0,
    "triples": 3.0,
    "half": 0.5,
}
"""Multiples that are one word."""
