"""`runyard completion`: the scripts with which shells complete commands, options and names.

The scripts pass the words as arguments and read lines of `kind<TAB>value<TAB>help`. They evaluate nothing:
a name that another person chose cannot run a command here. (Typer's own script for zsh evaluates the answer.)
"""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.completing import SHELLS
from runyard_cli.shared.options import argument, option

completion = App()


@completion.command(
    "completion",
    example="""runyard completion bash --install
        eval "$(runyard completion zsh)"
        runyard completion fish | source""",
)
def _completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None,
        argument("[SHELL]", help="By default the shell that $SHELL names."),
    ] = None,
    install: Annotated[bool, option("--install", help="Write it where the shell finds it.")] = False,
) -> None:
    """Print the script that completes commands, options and names in a shell, or install it."""
    kind = shell or os.path.basename(os.environ.get("SHELL", ""))
    if kind not in SHELLS:
        raise WrongUsage(f"Which shell? Name one of {', '.join(SHELLS)}.")
    if not install:
        typer.echo(_SCRIPTS[kind], nl=False)
        return
    place, line = _install(kind, _SCRIPTS[kind])
    out.done(f"Wrote {place}.")
    out.hint(line)


def _install(shell: str, script: str) -> tuple[str, str]:
    home = os.path.expanduser("~")
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    place = {
        "bash": os.path.join(data, "bash-completion", "completions", "runyard"),
        "zsh": os.path.join(data, "zsh", "site-functions", "_runyard"),
        "fish": os.path.join(config, "fish", "completions", "runyard.fish"),
        "powershell": os.path.join(config, "powershell", "runyard-completion.ps1"),
    }[shell]
    folder = os.path.dirname(place)
    os.makedirs(folder, exist_ok=True)
    with open(place, "w", encoding="utf-8") as file:
        file.write(script)
    return place, {
        "bash": f"Start a new shell; without the package bash-completion, in ~/.bashrc: . {place}",
        "zsh": f"In ~/.zshrc, before compinit: fpath+=({folder}); then start a new shell.",
        "fish": "Start a new shell.",
        "powershell": f"In the file that $PROFILE names: . {place}",
    }[shell]


_SCRIPTS = {
    "bash": r"""_runyard_complete() {
    local kind value help
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            file) compopt -o default 2>/dev/null; continue ;;
            dir) compopt -o dirnames 2>/dev/null; continue ;;
            part) compopt -o nospace 2>/dev/null ;;
        esac
        case $2 in
            \'* | \"*) ;;
            *) printf -v value %q "$value" ;;
        esac
        COMPREPLY+=("$value")
    done < <(
        _RUNYARD_COMPLETE=bash COMP_WORDBREAKS=$COMP_WORDBREAKS \
            "$1" "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null
    )
}
complete -o nosort -F _runyard_complete runyard 2>/dev/null || complete -F _runyard_complete runyard
""",
    "zsh": r"""#compdef runyard
_runyard() {
    local line kind value help program=runyard
    local -a words_before plain plain_shown part part_shown other other_shown
    [[ $words[1] == */* ]] && program=${~words[1]}
    words_before=("${(@Q)words[2,CURRENT-1]}")
    for line in "${(@f)$(_RUNYARD_COMPLETE=zsh $program "${words_before[@]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        kind=${line%%$'\t'*} line=${line#*$'\t'}
        value=${line%%$'\t'*} help=${line#*$'\t'}
        case $kind in
            file) _files ;;
            dir) _files -/ ;;
            plain) plain+=("$value"); plain_shown+=("$value${help:+  -- $help}") ;;
            part) part+=("$value"); part_shown+=("$value${help:+  -- $help}") ;;
            other) other+=("$value"); other_shown+=("$value${help:+  -- $help}") ;;
        esac
    done
    (( $#plain )) && compadd -V runyard -d plain_shown -a plain
    (( $#part )) && compadd -V runyard-part -S '' -d part_shown -a part
    (( $#other )) && compadd -U -V runyard-other -d other_shown -a other
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _runyard "$@"
else
    compdef _runyard runyard
fi
""",
    "fish": r"""function __runyard_complete
    set -l words (commandline -opc)
    set -l typed (string unescape -- (commandline -ct))
    test -n "$typed"; or set typed ""
    for line in (env _RUNYARD_COMPLETE=fish $words[1] $words[2..-1] "$typed" 2>/dev/null)
        set -l parts (string split -m 2 \t -- $line)
        switch $parts[1]
            case file
                __fish_complete_path "$typed"
            case dir
                __fish_complete_directories "$typed"
            case '*'
                printf '%s\t%s\n' $parts[2] $parts[3]
        end
    end
end
complete --keep-order --no-files --command runyard --arguments "(__runyard_complete)"
""",
    "powershell": r"""Register-ArgumentCompleter -Native -CommandName runyard -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { if ($_.Value -is [string]) { $_.Value } else { $_.Extent.Text } })
    $env:_RUNYARD_COMPLETE = 'powershell'
    $env:_RUNYARD_COMPLETE_WORD = $wordToComplete.Trim([char[]]@(34, 39))
    try { $lines = @(& runyard @words 2>$null) }
    finally { Remove-Item Env:_RUNYARD_COMPLETE, Env:_RUNYARD_COMPLETE_WORD -ErrorAction SilentlyContinue }
    foreach ($line in $lines) {
        $kind, $value, $help = $line -split "`t", 3
        if ($kind -eq 'file' -or $kind -eq 'dir') {
            [System.Management.Automation.CompletionCompleters]::CompleteFilename($wordToComplete)
            continue
        }
        $text = $value
        if ($value -notmatch '^[A-Za-z0-9_./:=@+,-]+$') { $text = "'" + ($value -replace "'", "''") + "'" }
        $tip = if ($help) { $help } else { $value }
        [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $tip)
    }
}
""",
}
