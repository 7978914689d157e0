"""The shell functions of `runyard alias`: `prefect` becomes another word for `runyard`."""

from __future__ import annotations

SHELLS = ("bash", "zsh", "fish", "powershell")

_BASH = """\
# In this shell, `prefect` calls Runyard. To undo it: unset -f prefect
prefect() { command runyard "$@"; }
# Complete it like runyard, if runyard has a completion here.
if complete -p runyard >/dev/null 2>&1; then
    _prefect_like_runyard() {
        COMP_WORDS[0]=runyard
        local complete_runyard
        complete_runyard=$(complete -p runyard)
        complete_runyard=${complete_runyard##*-F }
        "${complete_runyard%% *}" runyard "${@:2}"
    }
    complete -o nosort -F _prefect_like_runyard prefect 2>/dev/null ||
        complete -F _prefect_like_runyard prefect
fi
"""
_ZSH = """\
# In this shell, `prefect` calls Runyard. To undo it: unfunction prefect
prefect() { command runyard "$@"; }
# Complete it like runyard, if runyard has a completion here.
if (( $+functions[compdef] )) && [[ -n ${_comps[runyard]-} ]]; then
    _prefect_like_runyard() {
        words[1]=runyard
        _normal
    }
    compdef _prefect_like_runyard prefect
fi
"""
_FISH = """\
# In this shell, `prefect` calls Runyard. To undo it: functions --erase prefect
function prefect --wraps runyard --description 'Runyard, under the name of prefect'
    command runyard $argv
end
"""
_POWERSHELL = """\
# In this shell, `prefect` calls Runyard. To undo it: Remove-Item Function:prefect
function prefect {
    $runyard = (Get-Command -Name runyard -CommandType Application -ErrorAction Stop)[0]
    if ($MyInvocation.ExpectingInput) { $input | & $runyard @args } else { & $runyard @args }
}
"""
_FUNCTIONS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}

# How a shell reads the function: now, and the file in which the same line does it for each new shell.
_READ = {
    "bash": ('eval "$(runyard alias bash)"', "~/.bashrc"),
    "zsh": ('eval "$(runyard alias zsh)"', "~/.zshrc, after compinit"),
    "fish": ("runyard alias fish | source", "~/.config/fish/config.fish"),
    "powershell": ("runyard alias powershell | Out-String | Invoke-Expression", "$PROFILE"),
}


def alias_function(shell: str) -> str:
    """The function of a shell.

    Args:
        shell: one of SHELLS.

    Returns:
        The lines for the shell to read.
    """
    return _FUNCTIONS[shell]


def how_to_read(shell: str) -> str:
    """How to use the function of a shell, in one line.

    Args:
        shell: one of SHELLS.

    Returns:
        The command line, and the file for it.
    """
    command, file = _READ[shell]
    return f"Use it now: {command}    Always: the same line in {file}"


def shell_of(path: str) -> str | None:
    """The shell of a program's path.

    Args:
        path: such as $SHELL.

    Returns:
        One of SHELLS, or None for another program.
    """
    name = path.replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe")
    if name == "pwsh":
        return "powershell"
    return name if name in SHELLS else None
