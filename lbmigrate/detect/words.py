"""Words by which apps name what a leaderboard needs, in several languages.

A name is support, never the reason alone where values can tell: `detect.completion` and `detect.users` say how the two
are weighed. A word counts only as a whole word of a name (`isDone`, `done_at`), but for scripts without blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DONE = _words(
    "done complete completed completion finish finished closed resolved checked ended "
    "erledigt fertig abgeschlossen termine terminee fini finie fait faite hecho hecha completado completada terminado "
    "terminada concluido concluida feito feita completato fatto finito klaar voltooid gedaan zrobione zakonczone "
    "ukonczone klar ferdig tehty valmis kesz hotovo gata tamamlandi bitti selesai xong "
    "выполнено выполнена готово завершено завершена сделано 完成 已完成 完了 済み 완료"
)
UNDONE = _words(
    "todo open pending progress backlog new planned blocked cancelled canceled deleted archived active started running "
    "offen geplant abierto abierta pendiente aberto pendente"
)
STATE = _words("status state zustand etat estado stato stan")  # of which true means done
REPEATED = _words("event habit daily reward note")  # kinds of entries among tasks that are never done once and for all
BEFORE = _words("from old previous prev before former last vorher avant antes")  # of a change: what was
BREAK = _words("break breaks rest pause paused pausa descanso pauze przerwa перерыв 休憩 휴식 休息 short long")
FOCUS = _words("focus work pomodoro study deep fokus arbeit lernen foco trabajo travail estudio")
TASK = _words(
    "task tasks todo todos item items card cards chore chores challenge challenges ticket tickets issue issues "
    "aufgabe aufgaben tache taches tarea tareas tarefa tarefas taak taken zadanie zadania задача задачи"
)
SESSION = _words(
    "session sessions pomodoro pomodoros focus timer timers timecard timecards timelog timelogs study workout workouts "
    "sitzung sitzungen sesion sesiones seance seances sessao sessoes sessie sessies sesja sesje сессия сессии"
)
NOT_AN_ACTION = _words(
    "project projects goal goals order orders invoice invoices payment payments subscription subscriptions device "
    "devices token tokens login logins notification notifications message messages email emails comment comments team "
    "teams invite invites invitation invitations job jobs migration migrations setting settings event events"
)
DERIVED = _words(
    "leaderboard leaderboards leaderboardentries points score scores xp ranking rankings streak streaks stats "
    "statistics counter counters daily rollup rollups summary summaries"
)
USERS = _words(
    "user users account accounts member members people person persons profile profiles player players student students "
    "benutzer nutzer mitglied mitglieder utilisateur utilisateurs usuario usuarios utente utenti gebruiker gebruikers "
    "uzytkownik uzytkownicy пользователь пользователи"
)
OWNER = USERS | _words("uid owner assignee author besitzer")
NOT_THE_DOER = _words("created creator creado updated modified deleted approved invited reviewer shared")
DELETED = _words("deleted removed trashed geloscht geloescht supprime eliminado borrado excluido verwijderd")
UNREAL = _words("dummy template tutorial sample demo test fake")
COMPLETED_TIME = DONE | _words("finish erledigt")
END = _words("end ended ends stop stopped finish finished until ende fin hasta bis")
START = _words("start started starts begin began begun from beginn debut inicio von")
UPDATED = _words(
    "updated modified changed update edited geaendert geandert aktualisiert modifie actualizado atualizado"
)
CREATED = _words("created inserted added create erstellt angelegt cree creado criado")
HAPPENED = _words("date timestamp time when day datum fecha jour data at")
DEADLINE = _words("due deadline remind reminder expires expiry scheduled planned last next faellig fallig")
DURATION = _words(
    "duration dur length elapsed spent minutes minute mins min seconds second secs sec hours hour ms millis "
    "milliseconds dauer duree duracion duracao durata duur minuten sekunden stunden minutos segundos horas "
    "длительность 時間 时长"
)
PLANNED = _words("planned plan estimate estimated target goal remaining default pause paused pomodoros pomodoro")
# The first is the likeliest to be made for showing.
SHOWN_NAME = (
    *("display", "nick", "nickname", "username", "user", "name", "full", "fullname"),
    *("benutzername", "anzeigename", "nom", "nombre", "nome", "naam", "имя"),
)
LEGAL_NAME = _words("first last given family middle vorname nachname company org organisation team")
ZONES = _words("timezone tz zone")
PICTURE = _words("avatar picture photo image img pic bild foto icon")
BOARD = _words("leaderboard lb ranking rank rangliste bestenliste classement board")
HIDES = _words(
    "out hide hidden private anonymous anonym invisible exclude excluded incognito "
    "masque cache oculto versteckt verborgen nascosto"
)
SHOWS = _words("in show shown public visible visibility share")
VISIBILITY = HIDES - {"out", "cache"} | _words("visible visibility privacy public shown show audience")
SHOWN_TO_ALL = _words("public visible shown show everyone everybody all world open yes on publico publique")
SHOWN_TO_SOME = _words(
    "friends friend contacts followers team members nobody none noone me self no off secret unlisted"
)
# Of a user who is not there any more, or not allowed to be; and the words for one who is.
GONE = _words(
    "deactivated disabled inactive archived suspended banned blocked locked deleted removed closed terminated "
    "shadowbanned deaktiviert gesperrt desactive suspendu desactivado bloqueado"
)
PRESENT = _words("active enabled activated aktiv actif activo ativo")

SHORTEST_ENDING = 5  # letters of a word that may be the end of another
_camel = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_parting = re.compile(r"[\W_]+")
_PLAIN = str.maketrans("äöüßáàâãéèêëíìîïóòôõúùûñçåø", "aousaaaaeeeeiiiioooouuuncao")
_without_blanks = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def words_of(name: str) -> frozenset[str]:
    """The words of a field's or a collection's name, or of a value: `settings.leaderboardOptOut` has four."""
    parted = _parting.split(_camel.sub(" ", name))
    return frozenset(part.lower().translate(_PLAIN) for part in parted if part)


def speaks_of(name: str, vocabulary: Iterable[str]) -> bool:
    """Whether one of the words of a name is in a vocabulary."""
    known = frozenset(vocabulary)
    if _without_blanks.search(name):
        return any(word in name for word in known if _without_blanks.search(word))
    return not known.isdisjoint(words_of(name))


def is_called(name: str, vocabulary: Iterable[str]) -> bool:
    """Whether a collection is called by one of these words, or by one that ends in it: `pomodorosessions`."""
    known = frozenset(vocabulary)
    long = tuple(word for word in known if len(word) >= SHORTEST_ENDING)
    return speaks_of(name, known) or any(word.endswith(long) for word in words_of(name))
