# fish completion for @PROGRAM@
#
# For this shell:   @PROGRAM@ completion fish | source
# For all of them:  @PROGRAM@ completion fish > ~/.config/fish/completions/@PROGRAM@.fish

function __@PROGRAM@_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer ($words[1] @REQUEST@ $words[2..-1] "$current" 2>/dev/null)
    or return
    set -l directive (string sub -s 2 -- $answer[-1])
    test (math "bitand($directive, 1)") -eq 0
    or return
    set -l prefix (string match -r -- '^-.*=' "$current")
    for line in $answer[1..-2]
        echo -- $prefix$line
    end
    if test (math "bitand($directive, 4)") -eq 0
        __fish_complete_path "$current"
    end
end

complete -c @PROGRAM@ -f -a '(__@PROGRAM@_complete)'
