"""The texts of the page, in English and Korean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

# key -> English, Korean
_WORDS = {
    "films": ("Films", "영화"),
    "data": ("Data", "데이터"),
    "report": ("Report", "보고서"),
    "title": ("What shall we watch?", "오늘은 무엇을 볼까요?"),
    "summary": (
        "Pick a few films you like. Each model says what it would show you next, and why.",
        "좋아하는 영화를 몇 편 골라 보세요. 모델마다 다음에 볼 영화를 추천하고 이유를 알려 줍니다.",
    ),
    "who": ("Who is watching?", "누가 보나요?"),
    "new": ("Someone new", "새로운 사람"),
    "person": ("A person from the data", "데이터 속의 사람"),
    "search": ("Search for a film", "영화 검색"),
    "search_hint": ("A title, or its beginning; then Enter", "제목이나 제목의 앞부분을 쓰고 Enter"),
    "nothing": ("No title is like “{query}”.", "“{query}”와 비슷한 제목이 없습니다."),
    "picked": ("Your films", "고른 영화"),
    "start": ("Well-known films to begin with", "잘 알려진 영화로 시작하기"),
    "more": ("Well-known films to go on with", "잘 알려진 영화 더 고르기"),
    "pick": ("Pick", "선택"),
    "remove": ("Remove", "빼기"),
    "again": ("Begin again", "처음부터"),
    "which": ("Person", "사람"),
    "which_hint": ("Choose one, or type an id", "고르거나 번호를 입력하세요"),
    "someone": ("{user} · {n} films", "{user} · 영화 {n}편"),
    "unknown": ("Nobody in the data has the id {user}.", "{user}번은 데이터에 없습니다."),
    "loved": ("What they like", "좋아하는 영화"),
    "latest": ("What they watched last", "최근에 본 영화"),
    "genres": ("By genre", "장르"),
    "adjust": ("Adjust the lists", "추천 목록 조정"),
    "models": ("Models", "모델"),
    "diversity": ("Diversity", "다양성"),
    "diversity_help": (
        "0: the model's own list. The higher, the less alike the films of a list are (maximal marginal relevance).",
        "0이면 모델의 목록 그대로, 높을수록 서로 다른 영화로 채웁니다 (MMR).",
    ),
    "length": ("Length of the lists", "목록의 길이"),
    "weights": ("Weights of {name}", "{name}의 가중치"),
    "moment": ("When it is asked", "요청 시각"),
    "moment_on": ("Set the moment (read by {names})", "시각 지정 ({names}에서 사용)"),
    "year": ("Year", "연도"),
    "month": ("Month", "월"),
    "hour": ("Hour (UTC)", "시 (UTC)"),
    "asks": ("Who asks (read by {names})", "요청하는 사람 ({names}에서 사용)"),
    "as_known": ("as known", "알려진 대로"),
    "list_title": ("Title of your list (read by {names})", "목록의 제목 ({names}에서 사용)"),
    "list_hint": ("for example: summer road trip", "예: 여름 여행"),
    "next": ("What to watch next", "다음에 볼 영화"),
    "popular": ("knows none of these films: popular ones", "아는 영화가 없어 인기 영화를 추천"),
    "empty": ("Pick a film above, and the lists appear here.", "위에서 영화를 고르면 추천 목록이 여기에 나타납니다."),
    "because": ("because of {names}", "{names} 때문에"),
    "and": (" and ", ", "),
    "fresh": ("new", "새로"),
    "like": ("Like {title}", "좋아요: {title}"),
    "dislike": ("Not for me: {title}", "별로예요: {title}"),
    "liked": ("liked", "좋아요"),
    "disliked": ("Not shown again", "다시 보이지 않음"),
    "why": ("Why?", "이유"),
    "why_film": ("Film", "영화"),
    "why_model": ("Model", "모델"),
    "why_lead": (
        "How much each film of the history raises the score of this one: the score with it, less the score without it.",
        "지금까지 본 각 영화가 이 영화의 점수를 얼마나 올리는지: 그 영화가 있을 때와 없을 때의 점수 차이.",
    ),
    "why_none": (
        "This model cannot say: it knows none of these films, or popularity answered.",
        "이 모델은 이유를 말할 수 없습니다. 아는 영화가 없거나 인기 순위로 답했습니다.",
    ),
    "untold": ("nothing known is left without it", "이것이 없으면 아는 것이 없음"),
    "shared": ("What the lists share", "목록의 공통점"),
    "shared_lead": ("Films that each two lists have in common.", "두 목록에 함께 있는 영화의 수."),
    "agreed": ("In several lists", "여러 목록에 있는 영화"),
    "lists": ("in {n} of {all} lists", "{all}개 목록 중 {n}개"),
    "alike": ("More like this", "비슷한 영화"),
    "alike_lead": (
        "What each model recommends to someone who watched only this film.",
        "이 영화만 본 사람에게 추천하는 영화.",
    ),
    "data_title": ("What the log holds", "데이터 살펴보기"),
    "whole_page": ("The whole page", "전체 페이지"),
    "download": ("Save the page", "페이지 저장"),
    "report_title": ("How the models were measured", "모델의 평가"),
    "no_report": (
        "These models come from no run with a report. `matinee run` writes one beside its models.",
        "보고서가 있는 실행에서 온 모델이 아닙니다. `matinee run`이 모델과 함께 보고서를 씁니다.",
    ),
    "run": ("Run", "실행"),
}  # fmt: skip


def words(language: Language) -> Mapping[str, str]:
    """key -> text."""
    at = LANGUAGES.index(language)
    return {key: each[at] for key, each in _WORDS.items()}
