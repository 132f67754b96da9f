#compdef @PROGRAM@
# zsh completion for @PROGRAM@
#
# For this shell:   source <(@PROGRAM@ completion zsh)
# For all of them:  @PROGRAM@ completion zsh > "${fpath[1]}/_@PROGRAM@"

_@PROGRAM@() {
    local answer line directive
    local -a values texts options
    answer=$("${words[1]}" @REQUEST@ "${(@Q)words[2,CURRENT]}" 2>/dev/null) || return
    directive=${answer##*:}
    (( directive & 1 )) && return 1
    for line in "${(@f)answer%:*}"; do
        [[ -n $line ]] || continue
        values+=("${line%%$'\t'*}")
        texts+=("${line/$'\t'/  -- }")
    done
    (( directive & 2 )) && options+=(-S '')
    [[ ${words[CURRENT]} == -*=* ]] && options+=(-P "${words[CURRENT]%%=*}=")
    compadd $options -l -d texts -a values && return
    (( directive & 4 )) || _files
}

if [[ $funcstack[1] == _@PROGRAM@ ]]; then
    _@PROGRAM@ "$@"
else
    compdef _@PROGRAM@ @PROGRAM@
fi
