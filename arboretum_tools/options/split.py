"""The options of a split: how it is drawn from a selection, what it is held against, how it is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

from arboretum_metadata.vocab import BENCHMARKS, CLASS_RANKS, FEW_BELOW, MANY_ABOVE
from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.options import Option, check
from arboretum_tools.wording import counted

#: Profiles whose class sizes follow from the ratio.
RATIO_PROFILES = ("exp", "step", "pareto")

#: How photos are kept together, so that no encounter (or no person) has photos in two parts.
GROUP_BY = ("auto", "photo", "observation", "observer-per-species")

#: Of class-balanced weights: Cui et al. 2019 (arXiv 1901.05555) use 0.9999 on iNaturalist and ImageNet.
BETA = 0.9999

#: Rows of a file of episodes; more would not fit into memory everywhere.
MOST_ROWS = 20_000_000


#: What is kept out, of a split or of an export.
ExcludeOption: TypeAlias = Annotated[
    str | Path | Sequence[str | Path] | None,
    Option(
        "Keep out the photos, observations, classes or taxa of this file, or those of this split; may be "
        "repeated. Parquet or CSV with a column photo_id, observation_id, class_key or taxon; or text "
        "with one photo (id, page or address) or taxon per line.",
        metavar="FILE",
        many=True,
        commas=False,
        recipe=False,
    ),
]


#: Which photos of the selection take part, by the image store that holds them.
StoreOption: TypeAlias = Annotated[
    str | Path | Iterable[int] | None,
    Option(
        "Only photos that this image store holds.",
        metavar="DIR",
        flag="images",
        text=True,
        on_command_line="`none` for the whole catalogue. [default: without selection flags ./images if "
        "it is a store]",
        recipe=False,
    ),
]

#: What a split is called.
NameOption: TypeAlias = Annotated[
    str | None,
    Option("Name of the split, under splits/.", metavar="NAME", default="from taxa and ratio"),
]


@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """What `make_split` and `make_family` take alike. None = the default of the profile or the benchmark."""

    profile: Annotated[
        str | None,
        Option(
            "Shape of the class counts: exp, step or pareto for a given ratio; balanced; natural (as found).",
            metavar="PROFILE",
            choices=(*RATIO_PROFILES, "balanced", "natural"),
            default="exp",
        ),
    ] = None
    rank: Annotated[
        str,
        Option(
            "Rank of the classes: species, genus, family or order.",
            metavar="RANK",
            choices=CLASS_RANKS,
            noun="rank of classes",
        ),
    ] = "species"
    num_classes: Annotated[int | None, Option("Fix the number of classes.", metavar="C", least=2)] = None
    min_per_class: Annotated[
        int | None,
        Option(
            "Fix the number of train photos of the smallest class; natural: the number of photos a class "
            "must have before anything is held out.",
            metavar="m",
            least=1,
        ),
    ] = None
    max_per_class: Annotated[
        int | None,
        Option(
            "Fix the number of train photos of the largest class; natural: the cap.", metavar="M", least=1
        ),
    ] = None
    val_per_class: Annotated[
        int | None,
        Option(
            "Validation photos per class; 0 = no such part, as in a benchmark.",
            metavar="N",
            least=0,
            default="5",
        ),
    ] = None
    test_per_class: Annotated[
        int | None,
        Option(
            "Test photos per class; 0 = no such part; for a benchmark, the default is the published number.",
            metavar="N",
            least=0,
            default="10",
        ),
    ] = None
    group_by: Annotated[
        str,
        Option(
            "What is kept together in one part: observation, photo, observer-per-species (a person's photos "
            "of a species), or auto (observation if any photo has one, else photo).",
            metavar="GROUP",
            choices=GROUP_BY,
            noun="grouping",
        ),
    ] = "auto"
    split_by: Annotated[
        str | None,
        Option(
            "Hold out by place, time or person instead of class by class: region:DEGREES (whole cells of a "
            "grid), time:DATE (train before that day, test from it on), observer (all photos of a person). "
            "What is of one observer and day within 1 km is never in two parts.",
            metavar="RULE",
            text=True,
        ),
    ] = None
    test_share: Annotated[
        int | None,
        Option(
            "With --split-by: percent of the photos whose cells or observers go to test.",
            metavar="PERCENT",
            least=1,
            most=98,
            default="20",
        ),
    ] = None
    val_share: Annotated[
        int | None,
        Option(
            "With --split-by: percent of the photos (by time of those before the date) whose cells, "
            "observers or days go to validation.",
            metavar="PERCENT",
            least=1,
            most=98,
            default="10",
        ),
    ] = None
    min_test_groups: Annotated[
        int | None,
        Option(
            "Require the test photos of each class to come from at least this many groups (observations, or "
            "what --group-by says); each group gives one photo before any gives two. Classes with fewer "
            "groups take no part.",
            metavar="N",
            least=1,
        ),
    ] = None
    benchmark: Annotated[
        str | None,
        Option(
            "Test photos only, from classes chosen by a rule: balanced (a number of species per group), "
            "unseen (species with fewer than 30 photos in the catalogue), life-stage (stages of species), "
            "confounding (pairs of look-alikes). --test-per-class sets the number of photos per class.",
            metavar="KIND",
            choices=tuple(BENCHMARKS),
        ),
    ] = None
    classes_per_group: Annotated[
        int | None,
        Option(
            "balanced: maximum number of classes per taxon of --taxa, or per Arboretum group without --taxa.",
            metavar="N",
            least=1,
            default="500",
        ),
    ] = None
    stages: Annotated[
        str | Mapping[str, int] | Sequence[str] | None,
        Option(
            "life-stage: the stages, with the number of photos of each.",
            metavar="STAGE[=N],...",
            text=True,
            default="egg=5,larva=50,pupa=15,adult=50",
        ),
    ] = None
    pairs: Annotated[
        Iterable[str | Sequence[str]] | None,
        Option(
            "confounding: two taxa that look alike.",
            on_command_line="May be repeated.",
            metavar="'A / B'",
            flag="pair",
            many=True,
            commas=False,
        ),
    ] = None
    hybrids: Annotated[bool, Option("Include hybrids.")] = False
    seed: Annotated[int, Option("Seed: another one draws other photos by the same rules.", metavar="N")] = 0
    store: StoreOption = None
    exclude: ExcludeOption = None
    class_list: Annotated[
        str | Path | Sequence[str] | None,
        Option(
            "Use exactly these classes: text with one class_key or scientific name per line, CSV or Parquet "
            "with a column class_key, or another split.",
            metavar="FILE",
            recipe=False,
        ),
    ] = None
    counts: Annotated[
        str | Path | Sequence[int] | None,
        Option(
            "Number of train photos of each class, instead of a profile: numbers in text or JSON, such as "
            "the cls_num_list of another program, or another split. The largest number goes to the class "
            "with the most photos, and so on.",
            metavar="FILE",
            recipe=False,
        ),
    ] = None
    near_duplicates: Annotated[
        bool,
        Option(
            "With --images: keep near-duplicates (bursts, crops, mirrored or rotated copies) in one part."
        ),
    ] = False
    name: NameOption = None

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class SplitOptions(DrawOptions):
    """What `make_split` takes."""

    lt_ratio: Annotated[
        float | None,
        Option(
            "Imbalance ratio: train photos of the largest class divided by those of the smallest. Below 1 it "
            "is read as its inverse, as some papers write it: 0.01 is 100.",
            on_command_line="Several, such as 10,50,100, make a family: one class list, nested train parts.",
            metavar="R[,R]",
            text=True,
            default="100",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class WholeOptions:
    """What `whole` takes: a selection as one part."""

    hybrids: Annotated[bool, Option("Leave hybrids out.", flag="no-hybrids")] = True
    store: StoreOption = None
    exclude: ExcludeOption = None
    name: NameOption = None

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class FamilyOptions(DrawOptions):
    """What `make_family` takes."""

    lt_ratios: Annotated[
        Sequence[float],
        Option(
            "Imbalance ratios, two or more whole numbers; one is enough with several seeds.", flag="lt-ratio"
        ),
    ] = ()
    seeds: Annotated[
        str | Sequence[int],
        Option(
            "Seeds, such as 0,1,2: one split for each, over one class list with the same number of train "
            "photos per class, so that only the photos differ.",
            metavar="N,N",
            text=True,
        ),
    ] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "seeds", _seeds(self.seeds))


def _seeds(given: str | Sequence[int]) -> tuple[int, ...]:
    if isinstance(given, str):
        try:
            given = [int(one) for one in given.split(",")]
        except ValueError:
            raise UsageError(f"seeds are whole numbers, such as 0,1,2, not {given!r}") from None
    seeds = tuple(dict.fromkeys(given))
    if len(seeds) < len(given):
        raise UsageError(f"each seed is named once, such as 0,1,2, not {list(given)!r}")
    if any(isinstance(one, bool) or not isinstance(one, int) for one in seeds) or len(seeds) == 1:
        raise UsageError(f"seeds are two or more whole numbers, such as 0,1,2, not {list(given)!r}")
    return seeds


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """What `audit_split` takes.

    Attributes:
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: gets progress while images are read.
    """

    images: Annotated[
        str | Path | None,
        Option("Also compare the photos of this image store, by their bytes.", metavar="STORE"),
    ] = None
    near_duplicates: Annotated[
        bool,
        Option(
            "With --images: compare them by what they show too, and list all pairs that show nearly the "
            "same. Takes minutes for ten thousand photos. A split made with --near-duplicates always is."
        ),
    ] = False
    exclude: Annotated[
        Sequence[str | Path],
        Option(
            "Also prove that nothing of this file or split is in it, as make-split --exclude takes "
            "them; may be repeated.",
            metavar="FILE",
            many=True,
            commas=False,
        ),
    ] = ()
    expect: Annotated[
        str | None,
        Option(
            "Also prove that it is the split of this split_sha256, as a paper prints it; no part of the "
            "report.",
            metavar="SHA256",
        ),
    ] = None
    episodes: Annotated[
        str | Path | None,
        Option("Also check these few-shot episodes of the split, and draw them once more.", metavar="FILE"),
    ] = None
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)
        if self.near_duplicates and self.images is None:
            raise UsageError("near-duplicates are looked for in an image store: name one with images")


@dataclass(frozen=True, kw_only=True)
class SplitStatsOptions:
    """What `split_stats` takes; the default bounds are those of Liu et al. 2019."""

    many_above: Annotated[
        int, Option("Split: many-shot is more train photos than this.", metavar="N", least=0)
    ] = MANY_ABOVE
    few_below: Annotated[
        int, Option("Split: few-shot is fewer train photos than this.", metavar="N", least=0)
    ] = FEW_BELOW

    def __post_init__(self) -> None:
        check(self)
        if self.few_below > self.many_above + 1:
            raise UsageError(
                f"few-shot below {self.few_below} and many-shot above {self.many_above} leave no band between"
            )


@dataclass(frozen=True, kw_only=True)
class EpisodeOptions:
    """What `make_episodes` takes."""

    to: Annotated[
        str | Path,
        Option("Parquet file of the episodes.", metavar="FILE", flag="out", short="o", required=True),
    ]
    ways: Annotated[int, Option("Classes of each episode.", metavar="N", least=2)] = 5
    shots: Annotated[int, Option("Support photos of each of its classes.", metavar="K", least=1)] = 1
    queries: Annotated[int, Option("Query photos of each of its classes.", metavar="Q", least=1)] = 5
    episodes: Annotated[int, Option("Number of episodes.", metavar="E", least=1)] = 600
    seed: Annotated[int, Option("Draw other episodes by the same rules.", metavar="S")] = 0
    part: Annotated[str, Option("Part of the split that they are drawn from.", metavar="PART")] = "test"
    overwrite: Annotated[bool, Option("Replace a file that is there.")] = False

    def __post_init__(self) -> None:
        check(self)
        rows = self.episodes * self.ways * (self.shots + self.queries)
        if rows > MOST_ROWS:
            raise UsageError(
                f"the episodes have {counted(rows, 'photo')} in all, and a file holds at most {MOST_ROWS:,}",
                hint="Write several files, each under a seed of its own.",
            )
