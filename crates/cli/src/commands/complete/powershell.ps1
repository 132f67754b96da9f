# PowerShell completion for @PROGRAM@
#
# For this session: @PROGRAM@ completion powershell | Out-String | Invoke-Expression

Register-ArgumentCompleter -Native -CommandName '@PROGRAM@' -ScriptBlock {
    param($Word, $Ast, $Position)
    $Words = @($Ast.CommandElements | Where-Object { $_.Extent.StartOffset -lt $Position } | ForEach-Object { $_.Extent.Text })
    $Rest = @($Words | Select-Object -Skip 1)
    if ($Word -eq '') { $Rest += '' }
    $Answer = @(& $Words[0] '@REQUEST@' $Rest 2>$null)
    $Directive = [int]$Answer[-1].TrimStart(':')
    if ($Directive -band 1) { return }
    $Prefix = ''
    if ($Word -match '^-[^=]*=') { $Prefix = $Matches[0] }
    foreach ($Line in ($Answer | Select-Object -SkipLast 1)) {
        $Name, $Text = $Line -split "`t", 2
        if (-not $Text) { $Text = $Name }
        if ("$Prefix$Name" -like "$Word*") {
            [System.Management.Automation.CompletionResult]::new("$Prefix$Name", $Name, 'ParameterValue', $Text)
        }
    }
}
