# bash completion for @PROGRAM@
#
# For this shell:   source <(@PROGRAM@ completion bash)
# For all of them:  @PROGRAM@ completion bash > /etc/bash_completion.d/@PROGRAM@

__@PROGRAM@_complete() {
    # The words as they were typed: bash also splits at = and :, which is undone.
    local rest=${COMP_LINE:0:COMP_POINT} words=() i piece gap
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        gap=${rest%%[![:space:]]*}
        rest=${rest#"$gap"}
        if ((i == COMP_CWORD)); then
            piece=$rest
        else
            rest=${rest#"$piece"}
        fi
        if ((i == 0)) || [[ -n $gap ]]; then
            words+=("$piece")
        else
            words[${#words[@]} - 1]+=$piece
        fi
    done

    local answer directive
    answer=$("${words[0]/#\~/$HOME}" @REQUEST@ "${words[@]:1}" 2>/dev/null) || return
    directive=${answer##*:}
    answer=${answer%:*}
    ((directive & 1)) && return
    ((directive & 2)) && compopt -o nospace 2>/dev/null
    ((directive & 4)) && compopt +o default 2>/dev/null

    # Of --flag=value only the value is completed, and of a word with a colon
    # only what follows it, unless they are no word breaks here.
    local current=${words[${#words[@]} - 1]} keep= candidate
    [[ $current == -*=* ]] && current=${current#*=}
    local break
    for break in = :; do
        if [[ $COMP_WORDBREAKS == *"$break"* && $current == *"$break"* ]]; then
            local upto=${current%"$break"*}$break
            ((${#upto} > ${#keep})) && keep=$upto
        fi
    done

    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        [[ -n $candidate && $candidate == "$current"* ]] && COMPREPLY+=("${candidate#"$keep"}")
    done <<<"$answer"
}

complete -o default -F __@PROGRAM@_complete @PROGRAM@
